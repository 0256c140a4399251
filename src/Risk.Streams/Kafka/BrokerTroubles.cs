using Confluent.Kafka;
using Risk.Core.Transactions;
using ErrorCode = Risk.Core.Transactions.ErrorCode;

namespace Risk.Streams.Kafka;

/// <summary>
/// Why nobody answers: the error of a question says only that its time was up ("Broker transport failure"), what went wrong
/// with each connection is told beside it. One instance for each client.
/// </summary>
internal sealed class BrokerTroubles
{
    private const string WhatToDo = "is host:port in bootstrap.servers (kafka.properties, or KAFKA_BOOTSTRAP_SERVERS) right, is a broker up there, does a firewall stand between, do security.protocol (TLS or not) and login fit its listener?";

    private volatile Tuple<Error>? _last;

    public IAdminClient Connect(KafkaSettings settings) => new AdminClientBuilder(settings.Admin()).SetLogHandler(static (_, _) => { }).SetErrorHandler((_, error) => Took(error)).Build();

    /// <summary>The error with the reason and what to look at, where nobody answers; any other as it is.</summary>
    public CodedError Explain(CodedError error, KafkaSettings settings) => error.Code != ErrorCode.KafkaUnavailable
        ? error
        : new CodedError(error.Code, $"{error.Message}{(_last is { Item1: var last } ? $"; {settings.Scrub(last.Reason)}" : "")}; {WhatToDo}");

    public void Took(Error error)
    {
        // That all are down is their sum.
        if (error.Code != Confluent.Kafka.ErrorCode.Local_AllBrokersDown) { _last = Tuple.Create(error); }
    }
}
