using Risk.Core.Transactions;

namespace Risk.Streams.Kafka;

/// <summary>The broker refuses a client for good; a new one may be let in. The message begins with the code.</summary>
public sealed class KafkaRefusedException(CodedError error) : IOException(error.ToString())
{
    public CodedError Error { get; } = error;
}
