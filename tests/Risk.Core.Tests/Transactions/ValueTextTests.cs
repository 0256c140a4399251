using System.Globalization;
using System.Text;
using FsCheck;
using FsCheck.Fluent;
using Risk.Core.Transactions;

namespace Risk.Core.Tests.Transactions;

/// <summary>Numbers, timestamps, identifiers, card numbers and durations on their own.</summary>
public sealed class ValueTextTests
{
    [Theory]
    [InlineData("0")]
    [InlineData("0.0")]
    [InlineData("57.16")]
    [InlineData("52.300000000000004")]
    [InlineData("-1.5e3")]
    [InlineData("1E-7")]
    [InlineData("9007199254740993")]
    [InlineData("0.1000000000000000055511151231257827")]
    [InlineData("79228162514264320000000000000")]
    [InlineData("4.35")]
    [InlineData("123456789012345678e-17")]
    public void Number_IsTheNearestDouble(string text)
    {
        Assert.True(NumberText.TryParse(Encoding.UTF8.GetBytes(text), out double value));
        Assert.Equal(BitConverter.DoubleToInt64Bits(double.Parse(text, CultureInfo.InvariantCulture)), BitConverter.DoubleToInt64Bits(value));
    }

    [Fact]
    public void RandomDecimals_AreTheNearestDoubles() =>
        Prop.ForAll(
            (from digits in Gen.Choose(0, int.MaxValue)
             from more in Gen.Choose(0, int.MaxValue)
             from scale in Gen.Choose(0, 12)
             from exponent in Gen.Choose(-25, 8)
             select $"{(ulong)digits * (ulong)(more % 5 == 0 ? more : 1)}.{more.ToString().PadLeft(scale, '0')}e{exponent}").ToArbitrary(),
            text => NumberText.TryParse(Encoding.UTF8.GetBytes(text), out double value) && value == double.Parse(text, CultureInfo.InvariantCulture))
        .Check(Config.QuickThrowOnFailure.WithMaxTest(5000));

    [Theory]
    [InlineData("")]
    [InlineData("-")]
    [InlineData("+1")]
    [InlineData("1.")]
    [InlineData(".1")]
    [InlineData("1e")]
    [InlineData("1e+")]
    [InlineData("1 ")]
    [InlineData("1_000")]
    [InlineData("1,000")]
    [InlineData("--1")]
    [InlineData("00")]
    [InlineData("1e1.5")]
    [InlineData("٣")]
    [InlineData("00000000000000000000000000000000000000001")]
    public void TextThatIsNoNumber_IsRefused(string text) => Assert.False(NumberText.TryParse(Encoding.UTF8.GetBytes(text), out _));

    [Theory]
    [InlineData("2018-04-01T00:00:31Z")]
    [InlineData("2018-04-01 00:00:31Z")]
    [InlineData("2024-02-29T23:59:59.5+14:00")]
    [InlineData("2018-04-01T00:00:31.123456-0330")]
    [InlineData("2018-04-01T00:00:31+02")]
    [InlineData("0001-01-01T00:00:00Z")]
    [InlineData("9999-12-31T23:59:59.999999Z")]
    [InlineData("1900-03-01T00:00:00Z")]
    [InlineData("2000-02-29T12:00:00Z")]
    public void Timestamp_IsWhatTheFrameworkReads(string text)
    {
        Assert.True(TimestampText.TryParse(Encoding.UTF8.GetBytes(text), out long micros));
        Assert.Equal(DateTimeOffset.ParseExact(text, ["yyyy-MM-ddTHH:mm:ss.FFFFFFK", "yyyy-MM-dd HH:mm:ss.FFFFFFK", "yyyy-MM-ddTHH:mm:ss.FFFFFFzz"], CultureInfo.InvariantCulture, DateTimeStyles.None).UtcTicks, micros * 10 + DateTime.UnixEpoch.Ticks);
    }

    [Fact]
    public void EveryDay_OfFourCenturies_IsRead()
    {
        for (var day = new DateTime(1900, 1, 1, 7, 8, 9, DateTimeKind.Utc); day.Year < 2300; day = day.AddDays(1))
        {
            Assert.True(TimestampText.TryParse(Encoding.ASCII.GetBytes(day.ToString("yyyy-MM-ddTHH:mm:ssZ", CultureInfo.InvariantCulture)), out long micros));
            Assert.Equal(new DateTimeOffset(day), Micro.ToDateTimeOffset(micros));
        }
    }

    [Fact]
    public void DigitsBelowTheMicrosecond_DoNotCount()
    {
        Assert.True(TimestampText.TryParse("2018-04-01T00:00:31.1234569Z"u8, out long micros));
        Assert.Equal(123_456, micros % Micro.Second);
    }

    [Theory]
    [InlineData("2018-04-01T00:00:31")]
    [InlineData("2018-04-01T00:00:31.Z")]
    [InlineData("2018-04-01T00:00:31.1234567890Z")]
    [InlineData("2018-04-01T00:00:31.1")]
    [InlineData("2018-04-01T00:00:31z")]
    [InlineData("2018-04-01t00:00:31Z")]
    [InlineData("2018-04-01T00:00:31ZZ")]
    [InlineData("2018-04-01T00:00:31 Z")]
    [InlineData("2018-04-01T00:00:31+15:00")]
    [InlineData("2018-04-01T00:00:31+02:60")]
    [InlineData("2018-04-01T00:00:31+2:00")]
    [InlineData("2018-04-01T00:00:31+02:00:00")]
    [InlineData("2018-04-01T00:00Z00000000")]
    [InlineData("2018-4-1T00:00:31Z000")]
    [InlineData("2018-04-00T00:00:31Z")]
    [InlineData("2018-00-01T00:00:31Z")]
    [InlineData("0000-01-01T00:00:31Z")]
    [InlineData("2018-04-31T00:00:31Z")]
    [InlineData("2100-02-29T00:00:31Z")]
    [InlineData("2018-04-01T0/:00:31Z")]
    [InlineData("2018-04-01T00:00:3:Z")]
    [InlineData("10000-01-01T00:00:00Z")]
    [InlineData("-2018-04-01T00:00:31Z")]
    [InlineData("Sun, 01 Apr 2018 00:00:31 GMT")]
    public void TextThatIsNoTimestamp_IsRefused(string text) => Assert.False(TimestampText.TryParse(Encoding.UTF8.GetBytes(text), out _));

    [Theory]
    [InlineData("a", false, true)]
    [InlineData("a b~!", false, true)]
    [InlineData("550e8400-e29b-41d4-a716-446655440000", false, true)]
    [InlineData("ü", false, false)]
    [InlineData("ü", true, true)]
    [InlineData("Łódź", true, true)]
    [InlineData("Москва", true, true)]
    [InlineData("東京", true, true)]
    [InlineData("Моsква", true, false)]
    [InlineData("u\u0308", true, false)]
    [InlineData("a\u200Db", true, false)]
    [InlineData("a\u00A0b", true, false)]
    [InlineData("ﬁ", true, false)]
    [InlineData("𝐀", true, false)]
    [InlineData("a\u0001", true, false)]
    [InlineData("€", true, false)]
    public void Identifier_IsOneSpellingOnly(string text, bool unicode, bool valid) =>
        Assert.Equal(valid, Identifier.IsValid(Encoding.UTF8.GetBytes(text), Limits.IdSizeMax, unicode));

    [Theory]
    [InlineData("550e8400-e29b-41d4-a716-446655440000", false)]
    [InlineData("a41111111111111110", false)]
    [InlineData("a4111111111111111", false)]
    [InlineData("x-4111111111111111-y", true)]
    [InlineData("4111111111111111", true)]
    [InlineData("4111 1111 1111 1111", true)]
    [InlineData("4111111111111112", false)]
    [InlineData("7111111111111116", false)]
    [InlineData("411111111111", false)]
    [InlineData("41111111111111111111", false)]
    public void CardNumber_InAnId_IsFoundOnlyWhereItStandsAlone(string text, bool found) => Assert.Equal(found, CardNumber.IsInId(Encoding.UTF8.GetBytes(text)));

    [Theory]
    [InlineData("paid with 4111111111111111", true)]
    [InlineData("4111111111111111", true)]
    [InlineData("x4111111111111111y", true)]
    [InlineData("4111--1111--1111--1111", true)]
    [InlineData("4111 - 1111 - 1111 - 1111", false)]
    [InlineData("6011000990139424,3530111333300000", true)]
    [InlineData("2221000000000009", true)]
    [InlineData("14111111111111111", false)]
    [InlineData("order 20180401 000031 596", false)]
    [InlineData("+49 30 901820 12345", false)]
    [InlineData("2018-04-01 00:00:31", false)]
    public void CardNumber_InAText_IsFoundAnywhere(string text, bool found) => Assert.Equal(found, CardNumber.IsInText(Encoding.UTF8.GetBytes(text)));

    [Theory]
    [InlineData("250ms", 250_000L)]
    [InlineData("0s", 0L)]
    [InlineData("90s", 90_000_000L)]
    [InlineData("5m", 300_000_000L)]
    [InlineData("1h", 3_600_000_000L)]
    [InlineData("7d", 604_800_000_000L)]
    [InlineData("", null)]
    [InlineData("d", null)]
    [InlineData("-1d", null)]
    [InlineData("1.5h", null)]
    [InlineData("7 d", null)]
    [InlineData("7w", null)]
    [InlineData("3654d", null)]
    [InlineData("99999999999999999999d", null)]
    public void Duration_IsANumberAndAUnit(string text, long? micros) => Assert.Equal(micros, DurationText.TryParse(text, out long value) ? value : null);

    [Fact]
    public void EveryCode_HasOneTextAndBack()
    {
        string[] texts = [.. Enum.GetValues<ErrorCode>().Select(code => code.Text())];
        Assert.Equal(texts.Length, texts.Distinct().Count());
        Assert.All(Enum.GetValues<ErrorCode>().Where(code => code != ErrorCode.None), code => Assert.True(ErrorCodes.TryParse(code.Text(), out ErrorCode again) && again == code));
        Assert.False(ErrorCodes.TryParse("NONE", out _));
    }
}
