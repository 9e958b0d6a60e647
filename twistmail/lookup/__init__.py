"""The DNS questions that mail asks: INameLookup over dnspython, which speaks through the reactor."""
