using System.Globalization;

namespace Risk.Cluster;

/// <summary>
/// Asks the cluster all the time whether it is there and serves what this front was told: without an answer calls are refused
/// at once instead of after their deadline.
/// </summary>
internal sealed class ClusterWatch
{
    // One silo that died, or is frozen, is not the cluster: the next question goes by another.
    private const int MissedMax = 3;
    private static readonly TimeSpan s_every = TimeSpan.FromMilliseconds(500), s_again = TimeSpan.FromMilliseconds(500), s_askMax = TimeSpan.FromSeconds(2);
    private static readonly ClusterProblem s_unavailable = new("CLUSTER_UNAVAILABLE", "no silo answers; it goes on by itself when one does, and the same request again is safe");

    private readonly HedgedCall _hedged = new(sideBySideMax: 4);
    private volatile ClusterProblem? _problem = s_unavailable; // one reference: readers never see one half of two problems

    /// <summary>Code and sentence of why nothing can be decided; null while it can. Any thread.</summary>
    public (string Code, string Sentence)? Problem => _problem is { } problem ? (problem.Code, problem.Sentence) : null;

    /// <summary>Watches until it is stopped.</summary>
    public async Task Run(IGrainFactory grains, string stream, int partitions, CancellationToken stop)
    {
        int missed = 0;
        while (!stop.IsCancellationRequested)
        {
            try
            {
                // Always the same: who was asked for it once knows where it is, without Orleans' directory, a part of which may be at a
                // silo that died. Each question goes by the next gateway.
                ISiloGrain silo = grains.GetGrain<ISiloGrain>(0);
                SiloTold told = await _hedged.First(silo.Tell, s_again, s_askMax, stop);
                missed = 0;
                _problem = told.Stream == stream && told.Partitions == partitions ? null
                    : new ClusterProblem("CLUSTER_DIFFERS", string.Create(CultureInfo.InvariantCulture, $"the silos serve {told.Stream} with {told.Partitions} partitions, this front was told of {stream} with {partitions}: both must be the same"));
            }
            // Whatever it is, the next question tells; a client that never met a silo throws even ArgumentException.
            catch (Exception) when (!stop.IsCancellationRequested)
            {
                if (++missed >= MissedMax) { _problem = s_unavailable; }
            }
            catch (OperationCanceledException)
            {
                return;
            }
            await Task.Delay(s_every, stop).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private sealed record ClusterProblem(string Code, string Sentence);
}
