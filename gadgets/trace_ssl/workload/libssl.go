// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import "golang.org/x/sys/unix"

// openssl is a client that uses OpenSSL.
func openssl() *script {
	s := newScript("libssl.so.3", "libcrypto.so.3")
	ctx := s.Call("SSL_CTX_new", s.Call("TLS_client_method"))
	ssl := s.Call("SSL_new", ctx)
	s.Call("SSL_set_fd", ssl, s.number(tlsConn))
	shaken := s.Call("SSL_connect", ssl)
	s.inner("libcrypto_ECDSA_verify", 1) // that the server has the certificate's key
	s.expect("libssl_SSL_do_handshake", shaken, 1, "")

	request, answer := "GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n"
	s.write("libssl_SSL_write", "SSL_write", ssl, request, len(request))
	s.read("libssl_SSL_read", "SSL_read", ssl, answer, len(answer))
	s.write("libssl_SSL_write", "SSL_write", ssl, long(), len(long()))
	s.read("libssl_SSL_read", "SSL_read", ssl, long(), len(long()))
	_, size := s.Place()
	s.write("libssl_SSL_write_ex", "SSL_write_ex", ssl, "extended", 1, size)
	s.read("libssl_SSL_read_ex", "SSL_read_ex", ssl, "\x00\x01\x02\xff", 1, size)

	s.dontWait(tlsConn)
	room, roomSize := s.Bytes("", 64), s.number(64)
	s.fail(unix.EAGAIN, -1, "libssl_SSL_read", "SSL_read", ssl, room, roomSize)
	s.fail(unix.EAGAIN, 0, "libssl_SSL_read_ex", "SSL_read_ex", ssl, room, roomSize, size)
	// Without a connection there is nothing that the kernel could refuse.
	s.fail(0, -1, "libssl_SSL_do_handshake", "SSL_connect", s.Call("SSL_new", ctx))
	s.closeForWriting()
	s.fail(unix.EPIPE, -1, "libssl_SSL_write", "SSL_write", ssl, room, roomSize)
	s.End()
	return s
}

// closeForWriting makes all that is written fail.
func (s *script) closeForWriting() {
	const ignore = 1
	s.Call("signal", s.number(int(unix.SIGPIPE)), s.number(ignore))
	s.Call("shutdown", s.number(tlsConn), s.number(unix.SHUT_WR))
}
