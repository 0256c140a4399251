using System.CommandLine;

return new RootCommand("Risk: scores financial transactions in real time.").Parse(args).Invoke();
