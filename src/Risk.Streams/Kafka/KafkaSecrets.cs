using Risk.Core.Transactions;

namespace Risk.Streams.Kafka;

/// <summary>
/// Secrets among librdkafka's properties: named in the configuration as <c>env:NAME</c> or <c>file:PATH</c>, read here, and
/// taken out of every text that leaves.
/// </summary>
internal sealed class KafkaSecrets
{
    private const string FromEnvironment = "env:", FromFile = "file:";
    private const string Hidden = "***";

    // Every property of librdkafka whose value is a secret has one of these in its name (CONFIGURATION.md).
    private static readonly string[] SecretWords = ["password", "passphrase", "secret", "key.pem", "oauthbearer.config"];

    private readonly List<string> _values = [];

    /// <summary>The value to hand to librdkafka; null and an error where it may not stand there or is not to be had.</summary>
    public string? Resolve(string property, string text, out CodedError error)
    {
        error = default;
        bool isSecret = SecretWords.Any(word => property.Contains(word, StringComparison.Ordinal));
        bool isNamed = text.StartsWith(FromEnvironment, StringComparison.Ordinal) || text.StartsWith(FromFile, StringComparison.Ordinal);
        if (!isNamed)
        {
            if (!isSecret)
            {
                return text;
            }

            error = new CodedError(ErrorCode.KafkaSecretInline, $"{property} must not hold the secret itself; write env:NAME or file:PATH and put it there");
            return null;
        }

        string? value = text.StartsWith(FromEnvironment, StringComparison.Ordinal)
            ? Environment.GetEnvironmentVariable(text[FromEnvironment.Length..])
            : ReadFile(text[FromFile.Length..]);
        if (string.IsNullOrEmpty(value))
        {
            error = new CodedError(ErrorCode.KafkaSecretMissing, $"{property} is to come from {text}, which is not set, not readable or empty");
            return null;
        }

        _values.Add(value);
        return value;
    }

    /// <summary>The text without any secret in it: librdkafka names refused values in its errors.</summary>
    public string Scrub(string text)
    {
        foreach (string value in _values)
        {
            text = text.Replace(value, Hidden, StringComparison.Ordinal);
        }

        return text;
    }

    private static string? ReadFile(string path)
    {
        try
        {
            return File.ReadAllText(path).TrimEnd('\r', '\n');
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or ArgumentException or NotSupportedException)
        {
            return null;
        }
    }
}
