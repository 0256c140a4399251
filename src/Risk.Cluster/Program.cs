Console.Error.WriteLine("USAGE: risk-cluster silo|front");
return 2;
