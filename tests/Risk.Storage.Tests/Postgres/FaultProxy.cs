using System.Net;
using System.Net.Sockets;

namespace Risk.Storage.Tests.Postgres;

/// <summary>
/// Stands on loopback between a client and the server's socket, and fails as networks do: it drops the connection instead of
/// handing over a certain answer, holds one back, or refuses for a while.
/// </summary>
internal sealed class FaultProxy : IDisposable
{
    /// <summary>CommandComplete of a commit, https://www.postgresql.org/docs/current/protocol-message-formats.html.</summary>
    public static readonly byte[] ReplyToCommit = [.. "COMMIT\0"u8];

    /// <summary>CopyInResponse for five binary columns: the transaction is under way, nothing was sent yet.</summary>
    public static readonly byte[] ReplyToCopy = [(byte)'G', 0, 0, 0, 17];

    private readonly string _server;
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly List<Socket> _sockets = [];
    private volatile bool _isRefusing;
    private byte[]? _dropAt, _holdAt;
    private TaskCompletionSource _held = new(), _released = new();

    public FaultProxy(string serverSocket)
    {
        _server = serverSocket;
        _listener.Start();
        _ = AcceptAsync();
    }

    public int Port => ((IPEndPoint)_listener.LocalEndpoint).Port;

    /// <summary>Runs when a connection was dropped, before the client notices.</summary>
    public Action? Dropped { get; set; }

    /// <summary>Drops the connection, once, instead of handing over an answer with these bytes.</summary>
    public void DropAt(byte[] answer) => Volatile.Write(ref _dropAt, answer);

    /// <summary>Holds the answer with these bytes back, once, with all that comes after it on its connection; returns when it does.</summary>
    public Task HoldAt(byte[] answer)
    {
        (_held, _released) = (new(TaskCreationOptions.RunContinuationsAsynchronously), new(TaskCreationOptions.RunContinuationsAsynchronously));
        Volatile.Write(ref _holdAt, answer);
        return _held.Task;
    }

    /// <summary>Hands over what <see cref="HoldAt"/> held back.</summary>
    public void Release() => _released.TrySetResult();

    /// <summary>Drops all connections and takes no new ones, until told to stop.</summary>
    public bool IsRefusing
    {
        get => _isRefusing;
        set
        {
            _isRefusing = value;
            if (value)
            {
                CloseAll();
            }
        }
    }

    public void Dispose()
    {
        Release();
        _listener.Stop();
        CloseAll();
    }

    private async Task AcceptAsync()
    {
        try
        {
            while (true)
            {
                Socket client = await _listener.AcceptSocketAsync();
                if (_isRefusing)
                {
                    client.Close(0);
                    continue;
                }

                var server = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
                await server.ConnectAsync(new UnixDomainSocketEndPoint(_server));
                lock (_sockets)
                {
                    _sockets.AddRange([client, server]);
                }

                _ = PumpAsync(client, server, mayFail: false);
                _ = PumpAsync(server, client, mayFail: true);
            }
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // Disposed.
        }
    }

    private async Task PumpAsync(Socket from, Socket to, bool mayFail)
    {
        byte[] buffer = new byte[64 * 1024];
        try
        {
            for (int bytes; (bytes = await from.ReceiveAsync(buffer)) > 0;)
            {
                if (mayFail && IsThere(ref _dropAt, buffer.AsSpan(0, bytes)))
                {
                    Dropped?.Invoke();
                    break;
                }

                if (mayFail && IsThere(ref _holdAt, buffer.AsSpan(0, bytes)))
                {
                    _held.TrySetResult();
                    await _released.Task;
                }

                for (int sent = 0; sent < bytes;)
                {
                    sent += await to.SendAsync(buffer.AsMemory(sent, bytes - sent));
                }
            }
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // One side is gone; so shall be the other.
        }

        from.Close();
        to.Close();
    }

    /// <summary>True once.</summary>
    private static bool IsThere(ref byte[]? pattern, ReadOnlySpan<byte> answer) =>
        Volatile.Read(ref pattern) is { } bytes && answer.IndexOf(bytes) >= 0 && Interlocked.Exchange(ref pattern, null) is not null;

    private void CloseAll()
    {
        lock (_sockets)
        {
            _sockets.ForEach(socket => socket.Close());
            _sockets.Clear();
        }
    }
}
