// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import "golang.org/x/sys/unix"

// Numbers of GnuTLS.
const (
	gnutlsClient      = 2
	gnutlsCertificate = 1
	gnutlsAgain       = -28
	gnutlsPush        = -53
)

// gnutls is a client that uses GnuTLS.
func gnutls() *script {
	s := newScript("libgnutls.so.30")
	credentials, place := s.Place()
	s.Call("gnutls_certificate_allocate_credentials", place)
	session, place := s.Place()
	s.Call("gnutls_init", place, s.number(gnutlsClient))
	s.Call("gnutls_set_default_priority", session)
	s.Call("gnutls_credentials_set", session, s.number(gnutlsCertificate), credentials)
	conn := s.number(tlsConn)
	s.Call("gnutls_transport_set_int2", session, conn, conn)
	s.Call("gnutls_handshake", session)

	const send, recv = "libgnutls_gnutls_record_send", "libgnutls_gnutls_record_recv"
	s.write(send, "gnutls_record_send", session, "to be sent", len("to be sent"))
	s.read(recv, "gnutls_record_recv", session, "\x00answer\xff", len("\x00answer\xff"))
	s.write(send, "gnutls_record_send", session, long(), len(long()))
	s.read(recv, "gnutls_record_recv", session, long(), len(long()))

	s.dontWait(tlsConn)
	room, size := s.Bytes("", 64), s.number(64)
	s.fail(unix.EAGAIN, gnutlsAgain, recv, "gnutls_record_recv", session, room, size)
	s.closeForWriting()
	s.fail(unix.EPIPE, gnutlsPush, send, "gnutls_record_send", session, room, size)
	s.End()
	return s
}
