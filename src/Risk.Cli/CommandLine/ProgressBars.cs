using System.Globalization;
using Spectre.Console;
using Spectre.Console.Rendering;

namespace Risk.Cli.CommandLine;

/// <summary>Progress on a terminal: a bar with count, rate and time left, gone when the work is done.</summary>
internal static class ProgressBars
{
    private static readonly TimeSpan PollEvery = TimeSpan.FromMilliseconds(100);

    public static T Run<T>(IAnsiConsole console, ProgressReport report, Func<ProgressReport, T> work) =>
        console.Progress()
            .AutoClear(true)
            .Columns(new SpinnerColumn(), new TaskDescriptionColumn { Alignment = Justify.Left }, new ProgressBarColumn(), new PercentageColumn(), new CountColumn(report), new RemainingTimeColumn())
            .Start(context =>
            {
                ProgressTask task = context.AddTask(Markup.Escape(report.What));
                void Take()
                {
                    task.IsIndeterminate = report.Total is null or 0;
                    task.MaxValue = Math.Max(1, report.Total ?? 1);
                    task.Value = report.Total is null ? 0 : report.Done;
                }

                using var timer = new Timer(_ => Take(), null, TimeSpan.Zero, PollEvery);
                return work(report);
            });

    /// <summary><c>350,000 transactions, 101,234/s</c>, and the report's note.</summary>
    private sealed class CountColumn(ProgressReport report) : ProgressColumn
    {
        protected override bool NoWrap => true;

        public override IRenderable Render(RenderOptions options, ProgressTask task, TimeSpan deltaTime)
        {
            double seconds = task.ElapsedTime?.TotalSeconds ?? 0;
            double rate = seconds > 0 ? report.Done / seconds : 0;
            string note = report.Note.Length == 0 ? "" : $"; {report.Note}";
            return new Text(string.Create(CultureInfo.InvariantCulture, $"{report.Done:N0} {report.Unit}, {ProgressLines.Rate(rate)}{note}"));
        }
    }
}
