using System.ComponentModel;
using System.Diagnostics;
using System.Globalization;
using System.Net.Sockets;
using System.Text;

namespace Risk.Cli.Benchmarks;

/// <summary>A Redis server of our own on a temporary unix socket, nothing kept, and the little of its protocol (RESP2) that a benchmark needs.</summary>
internal sealed class RedisServer : IDisposable
{
    /// <summary>Requests that are sent together.</summary>
    internal sealed class Pipeline
    {
        private readonly System.Buffers.ArrayBufferWriter<byte> _bytes = new(1 << 16);

        public int Count { get; private set; }

        public ReadOnlySpan<byte> Bytes => _bytes.WrittenSpan;

        public void Add(ReadOnlySpan<string> arguments)
        {
            Write($"*{arguments.Length}\r\n");
            foreach (string argument in arguments) { Write($"${Encoding.UTF8.GetByteCount(argument)}\r\n{argument}\r\n"); }
            Count++;
        }

        private void Write(string text) => Encoding.UTF8.GetBytes(text, _bytes);
    }

    private readonly Process _process;
    private readonly string _folder;
    private readonly Socket _socket = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
    private readonly byte[] _buffer = new byte[1 << 20];
    private int _start, _end;
    private byte[] _reply = new byte[4096];
    private int _replySize;

    private RedisServer(Process process, string folder) => (_process, _folder) = (process, folder);

    /// <summary>Name and version.</summary>
    public string Version { get; private set; } = "Redis";

    /// <summary>The bytes of the last reply that <see cref="Exchange"/> read.</summary>
    public ReadOnlySpan<byte> LastReply => _reply.AsSpan(0, _replySize);

    /// <summary>Null where there is no server to start; <paramref name="whyNot"/> says what to do.</summary>
    public static RedisServer? TryStart(out string? whyNot)
    {
        string folder = Directory.CreateTempSubdirectory("risk-redis-").FullName;
        string path = Path.Combine(folder, "s");
        Process? process = null;
        try
        {
            process = Process.Start(new ProcessStartInfo("redis-server", ["--port", "0", "--unixsocket", path, "--save", "", "--appendonly", "no", "--dir", folder, "--loglevel", "warning"]) { RedirectStandardOutput = true });
            process!.OutputDataReceived += (_, _) => { };
            process.BeginOutputReadLine();
            var server = new RedisServer(process, folder);
            for (int i = 0; !File.Exists(path); i++)
            {
                if (process.HasExited || i == 500)
                {
                    server.Dispose();
                    whyNot = "redis-server did not open its socket";
                    return null;
                }
                Thread.Sleep(10);
            }
            server._socket.Connect(new UnixDomainSocketEndPoint(path));
            server.Version = $"Redis {server.Field("server", "redis_version")}";
            whyNot = null;
            return server;
        }
        catch (Win32Exception)
        {
            Directory.Delete(folder, recursive: true);
            whyNot = "not installed (apt-get install redis-server)";
            return null;
        }
    }

    public string LoadScript(string script) => Encoding.UTF8.GetString(Call("SCRIPT", "LOAD", script));

    /// <summary>Processor time of the server's main thread so far.</summary>
    public double CoreSeconds() => double.Parse(Field("cpu", "used_cpu_user"), CultureInfo.InvariantCulture) + double.Parse(Field("cpu", "used_cpu_sys"), CultureInfo.InvariantCulture);

    /// <summary>Sends the pipelines and reads every reply; one pipeline is always on its way while another is answered, so the server never waits for us.</summary>
    public void Exchange(List<Pipeline> pipelines)
    {
        for (int i = 0; i <= pipelines.Count; i++)
        {
            if (i < pipelines.Count) { Send(pipelines[i].Bytes); }
            for (int n = 0; i > 0 && n < pipelines[i - 1].Count; n++) { ReadReply(); }
        }
    }

    public void Dispose()
    {
        _socket.Dispose();
        if (!_process.HasExited)
        {
            _process.Kill();
            _process.WaitForExit();
        }
        _process.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    private ReadOnlySpan<byte> Call(params string[] arguments)
    {
        var pipeline = new Pipeline();
        pipeline.Add(arguments);
        Send(pipeline.Bytes);
        ReadReply();
        return LastReply;
    }

    private string Field(string section, string name)
    {
        string text = Encoding.UTF8.GetString(Call("INFO", section));
        return text.Split("\r\n").First(line => line.StartsWith(name + ":", StringComparison.Ordinal))[(name.Length + 1)..];
    }

    private void Send(ReadOnlySpan<byte> bytes)
    {
        while (bytes.Length > 0) { bytes = bytes[_socket.Send(bytes)..]; }
    }

    /// <summary>A bulk string, an integer or a status; an error throws, since it is one of ours.</summary>
    private void ReadReply()
    {
        int newline;
        while ((newline = _buffer.AsSpan(_start, _end - _start).IndexOf((byte)'\n')) < 0) { Receive(); }
        ReadOnlySpan<byte> line = _buffer.AsSpan(_start + 1, newline - 2);
        byte kind = _buffer[_start];
        if (kind == (byte)'-') { throw new InvalidOperationException($"Redis: {Encoding.UTF8.GetString(line)}"); }
        if (kind != (byte)'$')
        {
            Keep(line);
            _start += newline + 1;
            return;
        }
        int size = int.Parse(line, CultureInfo.InvariantCulture);
        while (_end - _start < newline + 1 + size + 2)
        {
            Receive(); // moves the reply to the front, its header with it
        }
        Keep(_buffer.AsSpan(_start + newline + 1, size));
        _start += newline + 1 + size + 2;
    }

    private void Keep(ReadOnlySpan<byte> reply)
    {
        if (reply.Length > _reply.Length) { _reply = new byte[reply.Length]; }
        reply.CopyTo(_reply);
        _replySize = reply.Length;
    }

    private void Receive()
    {
        if (_start > 0)
        {
            _buffer.AsSpan(_start, _end - _start).CopyTo(_buffer);
            (_start, _end) = (0, _end - _start);
        }
        int got = _socket.Receive(_buffer.AsSpan(_end));
        if (got == 0) { throw new InvalidOperationException("Redis closed the connection"); }
        _end += got;
    }
}
