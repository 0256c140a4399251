using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using Risk.Core.Decisions;
using Risk.Core.Features;
using Risk.Core.Transactions;

namespace Risk.Cli.Benchmarks;

/// <summary>
/// The events of <c>feature-update</c>, the same for both sides: first every key once, then a week of Zipf draws (exponent
/// 0.99, as in YCSB), then more of the same for as long as asked. Amounts are whole cents, so that sums are equal to the last digit.
/// </summary>
internal sealed class FeatureUpdateStream
{
    /// <param name="KeyCount">Keys an entity.</param>
    /// <param name="WeekEvents">Events in the longest window, which sets their pace.</param>
    internal readonly record struct Scale(int KeyCount, int WeekEvents);

    private static readonly string[] s_entities = ["card", "account", "merchant", "device"];
    private static readonly long[] s_windows = [Micro.Minute, 10 * Micro.Minute, Micro.Hour, 6 * Micro.Hour, Micro.Day, 7 * Micro.Day];
    private static readonly string[] s_aggregates = ["\"count\"", "\"sum\",\"of\":\"amount\""];
    public static readonly int FeatureCount = s_entities.Length * s_windows.Length * 2;

    /// <summary>Features in the order entity, window, count before sum.</summary>
    public static readonly FeatureCatalog Catalog = MakeCatalog();

    // Exact windows (t-W, t] with Redis' own means: what leaves is looked up only when the oldest event's time has come, and
    // trimmed when the longest window is past it. Times are milliseconds, 13 digits, which Lua prints without loss. A member is
    // time, cents and number of the event in fixed places: asking for the scores too would have Redis print and parse doubles.
    public const string RedisScript = """
        local t, member, cents = tonumber(ARGV[1]), ARGV[2], tonumber(ARGV[3])
        local windows = {60000, 600000, 3600000, 21600000, 86400000, 604800000}
        local format = '<' .. string.rep('dddd', 6)
        local never = 1e15
        local out = {}
        for i = 1, 4 do
          local events, packed = KEYS[i], redis.call('GET', KEYS[i + 4])
          local s
          if packed then s = {struct.unpack(format, packed)} else s = {0,0,never,0, 0,0,never,0, 0,0,never,0, 0,0,never,0, 0,0,never,0, 0,0,never,0} end
          for w = 1, 6 do
            local b, length = w * 4 - 3, windows[w]
            if s[b + 2] <= t then
              local from, low, offset = t - length, '(' .. s[b + 3], 0
              local due = never
              while true do
                local page = redis.call('ZRANGEBYSCORE', events, low, '+inf', 'LIMIT', offset, 8)
                local n = #page
                for k = 1, n do
                  local time = tonumber(string.sub(page[k], 1, 13))
                  if time > from then due = time + length; break end
                  s[b] = s[b] - 1
                  s[b + 1] = s[b + 1] - tonumber(string.sub(page[k], 14, 18))
                end
                if due < never or n < 8 then break end
                offset = offset + 8
              end
              s[b + 2], s[b + 3] = due, from
              if w == 6 then redis.call('ZREMRANGEBYSCORE', events, '-inf', from) end
            end
            s[b], s[b + 1] = s[b] + 1, s[b + 1] + cents
            if s[b + 2] == never then s[b + 2] = t + length end
          end
          redis.call('ZADD', events, t, member)
          packed = struct.pack(format, unpack(s))
          redis.call('SET', KEYS[i + 4], packed)
          out[i] = packed
        end
        return table.concat(out)
        """;

    private readonly Scale _scale;
    private readonly double[] _cumulative;
    private readonly EntityKey[][] _keys;
    private readonly int[][] _places;
    private readonly Random _random = new(20260801);
    private readonly long _step;
    private long _time = Micro.FromDateTimeOffset(new DateTimeOffset(2025, 1, 1, 0, 0, 0, TimeSpan.Zero));
    private int _number;
    private readonly int[] _drawn = new int[s_entities.Length];
    private int _cents;

    public FeatureUpdateStream(Scale scale)
    {
        _scale = scale;
        _step = s_windows[^1] / scale.WeekEvents / 1000 * 1000;
        _cumulative = new double[scale.KeyCount];
        double sum = 0;
        for (int rank = 0; rank < scale.KeyCount; rank++) { _cumulative[rank] = sum += Math.Pow(rank + 1, -0.99); }
        var keys = new KeyedHash("feature-update .."u8[..KeyedHash.KeySize]);
        _keys = [.. s_entities.Select(entity => Enumerable.Range(0, scale.KeyCount).Select(i => keys.Hash128(Encoding.UTF8.GetBytes($"{entity}{i}"))).ToArray())];
        _places = [.. s_entities.Select(_ => Shuffled(scale.KeyCount))];
    }

    /// <summary>Events until the windows are full.</summary>
    public int FillEvents => _scale.KeyCount + _scale.WeekEvents;

    public void Fill(TransactionBatch batch, int rows)
    {
        batch.Clear();
        for (int row = 0; row < rows; row++)
        {
            Draw();
            batch.Begin();
            batch.PutText(0, "1"u8);
            batch.PutEventTime(_time);
            for (int entity = 0; entity < s_entities.Length; entity++)
            {
                batch.PutText(1 + entity, "k"u8);
                batch.PutKey(entity, _keys[entity][_drawn[entity]]);
            }
            batch.PutNumber(0, _cents);
            batch.Commit(_number, 0, 0);
        }
    }

    public void EncodeNext(RedisServer.Pipeline pipeline, string script)
    {
        Draw();
        string[] names = [.. _drawn.Select((key, entity) => string.Create(CultureInfo.InvariantCulture, $"{s_entities[entity][0]}{key}"))];
        string time = (_time / 1000).ToString(CultureInfo.InvariantCulture);
        pipeline.Add(["EVALSHA", script, "8", .. names, .. names.Select(name => "s" + name), time, string.Create(CultureInfo.InvariantCulture, $"{time}{_cents:D5}{_number}"), _cents.ToString(CultureInfo.InvariantCulture)]);
    }

    /// <summary>
    /// The same event without a script, which can count but not add up: add, trim, and one count a window and entity. Goes on
    /// from the sorted sets that the script kept; afterwards the script's running sums are no longer theirs.
    /// </summary>
    public void EncodeNextPlain(RedisServer.Pipeline pipeline)
    {
        Draw();
        long now = _time / 1000;
        string time = now.ToString(CultureInfo.InvariantCulture), member = string.Create(CultureInfo.InvariantCulture, $"{time}{_cents:D5}{_number}");
        for (int entity = 0; entity < s_entities.Length; entity++)
        {
            string key = string.Create(CultureInfo.InvariantCulture, $"{s_entities[entity][0]}{_drawn[entity]}");
            pipeline.Add(["ZADD", key, time, member]);
            pipeline.Add(["ZREMRANGEBYSCORE", key, "-inf", (now - s_windows[^1] / 1000).ToString(CultureInfo.InvariantCulture)]);
            foreach (long window in s_windows.AsSpan(0, s_windows.Length - 1)) { pipeline.Add(["ZCOUNT", key, string.Create(CultureInfo.InvariantCulture, $"({now - window / 1000}"), "+inf"]); }
            pipeline.Add(["ZCARD", key]);
        }
    }

    /// <summary>The script's answer in the order of <see cref="Catalog"/>.</summary>
    public static double[] DecodeRedis(ReadOnlySpan<byte> reply)
    {
        ReadOnlySpan<double> words = MemoryMarshal.Cast<byte, double>(reply); // count, sum, next to leave, left up to
        var view = new double[FeatureCount];
        for (int i = 0; i < view.Length / 2; i++) { (view[2 * i], view[2 * i + 1]) = (words[4 * i], words[4 * i + 1]); }
        return view;
    }

    private void Draw()
    {
        for (int entity = 0; entity < _drawn.Length; entity++)
        {
            _drawn[entity] = _places[entity][_number < _scale.KeyCount ? _number : Zipf()];
        }
        _cents = _random.Next(1, 50_000);
        _time += _step;
        _number++;
    }

    private int Zipf()
    {
        int rank = _cumulative.AsSpan().BinarySearch(_random.NextDouble() * _cumulative[^1]);
        return Math.Min(rank < 0 ? ~rank : rank, _cumulative.Length - 1);
    }

    private int[] Shuffled(int count)
    {
        int[] places = [.. Enumerable.Range(0, count)];
        _random.Shuffle(places);
        return places;
    }

    private static FeatureCatalog MakeCatalog()
    {
        string fields = string.Join(",", s_entities.Select(entity => $$"""{"name":"{{entity}}","type":"key"}"""));
        string schemaJson = $$"""{"stream":"feature-update","version":1,"subject":"card","fields":[{"name":"id","type":"id"},{"name":"time","type":"timestamp"},{{fields}},{"name":"amount","type":"number"}]}""";
        StreamSchema schema = StreamSchema.Read(Encoding.UTF8.GetBytes(schemaJson), "schema", out IReadOnlyList<CodedError> faults) ?? throw new InvalidOperationException(string.Join('\n', faults));
        IEnumerable<string> features =
            from entity in s_entities
            from window in s_windows
            from aggregate in s_aggregates
            select $$"""{"name":"{{entity}}_{{aggregate[1..4]}}_{{window / Micro.Minute}}m","entity":"{{entity}}","aggregate":{{aggregate}},"window":"{{window / Micro.Minute}}m"}""";
        string entities = string.Join(",", s_entities.Select(entity => $$"""{{'"'}}{{entity}}":["{{entity}}"]"""));
        string json = $$"""{"version":1,"entities":{{{entities}}},"features":[{{string.Join(",", features)}}]}""";
        var errors = new List<DefinitionError>();
        return FeatureCatalog.Read(Encoding.UTF8.GetBytes(json), "features", schema, errors) ?? throw new InvalidOperationException(string.Join('\n', errors));
    }
}
