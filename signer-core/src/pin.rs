//! How a PIN masks the device's share so that only the server can tell a right PIN from a wrong one.
