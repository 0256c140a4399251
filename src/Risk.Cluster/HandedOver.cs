using System.Globalization;
using System.Runtime.InteropServices;
using Microsoft.Extensions.Hosting;

namespace Risk.Cluster;

/// <summary>Of a process that <c>risk serve --cluster</c> started: it goes when that one is gone, which was killed and could not say so.</summary>
internal static partial class HandedOver
{
    private static readonly TimeSpan s_every = TimeSpan.FromMilliseconds(500);

    public static void Follow(IHostApplicationLifetime lifetime)
    {
        if (!int.TryParse(Environment.GetEnvironmentVariable("RISK_CLUSTER_PARENT"), CultureInfo.InvariantCulture, out int parent)) { return; }
        _ = Task.Run(async () =>
        {
            while (getppid() == parent) { await Task.Delay(s_every); }
            lifetime.StopApplication();
        });
    }

    [LibraryImport("libc")]
    private static partial int getppid();
}
