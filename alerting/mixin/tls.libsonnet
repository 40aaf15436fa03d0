// What a client of a server with TLS checks and shows; the same words in Prometheus and Alertmanager.
{
  client(tls): std.prune({
    server_name: tls.serverName,
    ca_file: tls.caFile,
    cert_file: tls.certFile,
    key_file: tls.keyFile,
  }),
}
