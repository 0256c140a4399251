using System.Buffers;
using System.Text.Json;
using Risk.Core.Transactions;

namespace Risk.Streams;

/// <summary>The input a dead letter comes from.</summary>
/// <param name="Name">For people: file name or topic.</param>
/// <param name="Identity">What tells inputs of one name apart (size and beginning); standard input is always called <c>-</c>.</param>
public sealed record DeadLetterSource(string Name, string Identity)
{
    /// <summary>Eight hexadecimal digits of the identity's SHA-256.</summary>
    public string Id { get; } = Sha256Digest.Of(System.Text.Encoding.UTF8.GetBytes(Identity)).ToString()[..8];
}

/// <summary>
/// <c>dead-letters.jsonl</c>: one JSON object a line for every record that was not accepted, with source, line, code,
/// field and a hash by which the record is found again; never a value of it. Append-only but for
/// <see cref="TruncateAfter"/>. A line that a crash cut short is taken away on opening. Not thread-safe. I/O errors
/// throw <see cref="IOException"/>: a rejection that cannot be written must stop its source.
/// </summary>
public sealed class DeadLetterFile : IDeadLetters
{
    // Appended lines gather here; a run with many bad records would otherwise write each on its own.
    private const int BufferSize = 64 * 1024;

    private readonly string _path;
    private FileStream _file;
    private readonly ArrayBufferWriter<byte> _buffer = new(BufferSize);
    private readonly Utf8JsonWriter _json;
    private readonly SortedDictionary<ErrorCode, long> _counts = [];

    private DeadLetterFile(string path)
    {
        _path = path;
        _file = OpenFile(path, FileMode.OpenOrCreate);
        _json = new Utf8JsonWriter(_buffer);
    }

    /// <summary>Dead letters in the file and the buffer.</summary>
    public long Count { get; private set; }

    /// <summary>The same by code.</summary>
    public IReadOnlyDictionary<ErrorCode, long> Counts => _counts;

    /// <summary>Opens the file, or makes it; what it holds is counted.</summary>
    public static DeadLetterFile Open(string path)
    {
        var letters = new DeadLetterFile(path);
        letters.Keep(static (_, _) => true);
        return letters;
    }

    /// <summary>Adds one dead letter to the buffer; <see cref="Flush"/> puts it into the file.</summary>
    public void Append(in Rejection rejection, DeadLetterSource source)
    {
        _json.Reset();
        _json.WriteStartObject();
        _json.WriteNumber("line", rejection.SourceOffset);
        _json.WriteString("source", source.Name);
        _json.WriteString("sourceId", source.Id);
        _json.WriteString("code", rejection.Code.Text());
        if (rejection.Field is { } field)
        {
            _json.WriteString("field", field);
        }

        _json.WriteString(rejection.IsKeyed ? "payloadHmacSha256" : "payloadSha256", rejection.PayloadHash.ToString());
        _json.WriteEndObject();
        _json.Flush();
        _buffer.Write("\n"u8);
        Tally(rejection.Code);
        if (_buffer.WrittenCount >= BufferSize)
        {
            Flush(durable: false);
        }
    }

    /// <summary>Writes what has gathered; <paramref name="durable"/>: and waits until the disk has it.</summary>
    public void Flush(bool durable)
    {
        if (_buffer.WrittenCount > 0)
        {
            _file.Write(_buffer.WrittenSpan);
            _buffer.ResetWrittenCount();
        }

        if (durable)
        {
            _file.Flush(flushToDisk: true);
        }
    }

    /// <summary>
    /// Takes out every letter of <paramref name="source"/> that lies behind <paramref name="line"/>, the last line whose
    /// outcome is durable: going on from there writes them again. Durable when it returns.
    /// </summary>
    public void TruncateAfter(DeadLetterSource source, long line)
    {
        Flush(durable: false);
        Keep((itsSource, itsLine) => itsSource != source.Id || itsLine <= line);
    }

    public void Dispose()
    {
        Flush(durable: false);
        _json.Dispose();
        _file.Dispose();
    }

    // Reads the file and keeps the whole lines that are wanted. Mostly those are its beginning, and the rest is cut off.
    private void Keep(Func<string, long, bool> wanted)
    {
        _counts.Clear();
        Count = 0;
        _file.Position = 0;
        var kept = new ArrayBufferWriter<byte>();
        var content = new byte[_file.Length];
        _file.ReadExactly(content);
        int start = 0;
        for (int size; (size = content.AsSpan(start).IndexOf((byte)'\n')) >= 0; start += size + 1)
        {
            if (TryReadLine(content.AsMemory(start, size), out string source, out long line, out ErrorCode code) && wanted(source, line))
            {
                kept.Write(content.AsSpan(start, size + 1));
                Tally(code);
            }
        }

        ReadOnlySpan<byte> keptBytes = kept.WrittenSpan;
        if (!content.AsSpan().StartsWith(keptBytes))
        {
            Replace(keptBytes);
        }
        else if (keptBytes.Length != content.Length)
        {
            _file.SetLength(keptBytes.Length);
            _file.Flush(flushToDisk: true);
        }

        _file.Position = keptBytes.Length;
    }

    // Letters of other sources stand behind those to be taken out: a new file takes the old one's place in one step.
    private void Replace(ReadOnlySpan<byte> content)
    {
        string next = _path + ".next";
        FileStream file = OpenFile(next, FileMode.Create);
        file.Write(content);
        file.Flush(flushToDisk: true);
        File.Move(next, _path, overwrite: true);
        _file.Dispose();
        _file = file;
    }

    private static FileStream OpenFile(string path, FileMode mode) => new(path, mode, FileAccess.ReadWrite, FileShare.Read | FileShare.Delete, bufferSize: 1);

    private static bool TryReadLine(ReadOnlyMemory<byte> json, out string source, out long line, out ErrorCode code)
    {
        (source, line, code) = ("", 0, ErrorCode.None);
        try
        {
            using JsonDocument document = JsonDocument.Parse(json);
            JsonElement root = document.RootElement;
            source = root.GetProperty("sourceId").GetString() ?? "";
            line = root.GetProperty("line").GetInt64();
            return ErrorCodes.TryParse(root.GetProperty("code").GetString() ?? "", out code);
        }
        catch (Exception exception) when (exception is JsonException or KeyNotFoundException or InvalidOperationException or FormatException)
        {
            return false;
        }
    }

    private void Tally(ErrorCode code)
    {
        Count++;
        _counts[code] = _counts.GetValueOrDefault(code) + 1;
    }
}
