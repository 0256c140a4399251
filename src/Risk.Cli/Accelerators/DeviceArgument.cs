using System.CommandLine;

namespace Risk.Cli.Accelerators;

/// <summary>Names of accelerators on the command line. What looks like an option is none of them: a mistyped option must not pass for an absent device.</summary>
internal static class DeviceArgument
{
    public static Argument<string[]> Many() => Checked(new Argument<string[]>("NAME")
    {
        Description = "Accelerators; when left out, the processor by ONNX Runtime, the forest kernel and everything that is present.",
        Arity = ArgumentArity.ZeroOrMore,
    });

    public static Argument<string> One() => Checked(new Argument<string>("NAME") { Description = "The accelerator." });

    public static Argument<string?> OneOrAll() => Checked(new Argument<string?>("NAME") { Description = "One accelerator, with everything that it needs; all of them when left out.", Arity = ArgumentArity.ZeroOrOne });

    private static T Checked<T>(T argument)
        where T : Argument
    {
        argument.Validators.Add(result =>
        {
            foreach (string token in result.Tokens.Select(t => t.Value).Where(value => value.StartsWith('-')))
            {
                result.AddError($"'{token}' is no option of this verb, and no name of a device begins so.");
            }
        });
        return argument;
    }
}
