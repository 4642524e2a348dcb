"""Messages of version 1; generated from the proto when the package is built."""
