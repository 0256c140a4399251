using System.Text;
using Risk.Streams.Kafka;

namespace Risk.Streams.Tests.Kafka;

public sealed class MessageKeyTests
{
    [Theory]
    [InlineData("""{"id":"1","account":"a-7"}""", "a-7")]
    [InlineData("""{"account":596,"id":"1"}""", "596")]
    [InlineData("""{"account":"\u00e9\/x"}""", "\u00e9/x")]
    [InlineData("""{"other":{"account":"inner"},"account":"outer"}""", "outer")]
    [InlineData("""{"id":"1"}""", "")]
    [InlineData("""{"account":null}""", "")]
    public void Key_IsTheTextOfTheField(string json, string expected)
    {
        Span<byte> scratch = stackalloc byte[MessageKey.ScratchSize];
        Assert.Equal(expected, Encoding.UTF8.GetString(MessageKey.Of(Encoding.UTF8.GetBytes(json), "account"u8, scratch)));
    }
}
