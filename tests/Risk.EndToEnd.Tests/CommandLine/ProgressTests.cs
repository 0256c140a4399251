using Risk.Cli.CommandLine;

namespace Risk.EndToEnd.Tests.CommandLine;

public sealed class ProgressTests
{
    [Fact]
    public void Line_SaysCountRateAndTimeLeft()
    {
        var report = new ProgressReport("Scoring", "transactions") { Total = 1_754_155, Done = 350_831 };

        Assert.Equal("Scoring: 350,831 of 1,754,155 transactions (20 %), 100,237/s, 14 s left", ProgressLines.Line(report, TimeSpan.FromSeconds(3.5)));
    }

    [Fact]
    public void Line_WithoutTotal_SaysWhatIsKnown()
    {
        var report = new ProgressReport("Looking", "records") { Done = 1000, Note = "in segment 7" };

        Assert.Equal("Looking: 1,000 records, 500/s; in segment 7", ProgressLines.Line(report, TimeSpan.FromSeconds(2)));
    }

    [Fact]
    public void WorkThatEndsAtOnce_SaysNothing()
    {
        using var error = new StringWriter();

        Assert.Equal(7, ProgressLines.Run(error, new ProgressReport("Quick", "things"), _ => 7));
        Assert.Empty(error.ToString());
    }
}
