namespace Risk.Core.Explanations;

/// <summary>Nodes and weights of Gauss–Legendre quadrature on [0,1]: K of them integrate polynomials up to degree 2K − 1 exactly.</summary>
internal static class GaussLegendre
{
    /// <summary>The rule with <paramref name="count"/> nodes, nodes ascending.</summary>
    public static (double[] Nodes, double[] Weights) Rule(int count)
    {
        var (nodes, weights) = (new double[count], new double[count]);
        for (var i = 0; i < count; i++)
        {
            // Newton's method on the Legendre polynomial from the usual first guess; it converges in a few steps.
            var x = -Math.Cos(Math.PI * (i + 0.75) / (count + 0.5));
            var slope = 0.0;
            for (var step = 0; step < 64; step++)
            {
                (var value, slope) = Legendre(count, x);
                var next = x - (value / slope);
                if (next == x)
                {
                    break;
                }

                x = next;
            }

            nodes[i] = 0.5 * (1 + x);
            weights[i] = 1 / ((1 - (x * x)) * slope * slope);
        }

        return (nodes, weights);
    }

    private static (double Value, double Slope) Legendre(int degree, double x)
    {
        var (before, current) = (1.0, x);
        for (var k = 2; k <= degree; k++)
        {
            (before, current) = (current, ((((2 * k) - 1) * x * current) - ((k - 1) * before)) / k);
        }

        return (current, degree * ((x * current) - before) / ((x * x) - 1));
    }
}
