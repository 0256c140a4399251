using System.Net;
using System.Net.Sockets;

namespace Risk.Storage.Tests.Postgres;

/// <summary>
/// Stands on loopback between a client and the server's socket, and fails as networks do: it drops the connection instead of
/// handing over a certain answer, or refuses for a while.
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
    private byte[]? _dropAt;

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

                _ = PumpAsync(client, server, mayDrop: false);
                _ = PumpAsync(server, client, mayDrop: true);
            }
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // Disposed.
        }
    }

    private async Task PumpAsync(Socket from, Socket to, bool mayDrop)
    {
        byte[] buffer = new byte[64 * 1024];
        try
        {
            for (int bytes; (bytes = await from.ReceiveAsync(buffer)) > 0;)
            {
                if (mayDrop && Volatile.Read(ref _dropAt) is { } pattern && buffer.AsSpan(0, bytes).IndexOf(pattern) >= 0 &&
                    Interlocked.Exchange(ref _dropAt, null) is not null)
                {
                    Dropped?.Invoke();
                    break;
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

    private void CloseAll()
    {
        lock (_sockets)
        {
            _sockets.ForEach(socket => socket.Close());
            _sockets.Clear();
        }
    }
}
