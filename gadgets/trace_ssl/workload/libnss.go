// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"math"

	"golang.org/x/sys/unix"
)

// nss is a client that uses NSS, and NSPR also for other things than TLS.
func nss() *script {
	s := newScript("libnspr4.so", "libnss3.so", "libssl3.so")
	null := s.Constant(0)
	s.Call("NSS_NoDB_Init", null)
	s.Call("NSS_SetDomesticPolicy")
	fd := s.Call("SSL_ImportFD", null, s.Call("PR_ImportTCPSocket", s.number(tlsConn)))
	// Any certificate is good: the function gets a null pointer and has to return 0.
	s.Call("SSL_AuthCertificateHook", fd, s.Function("abs"), null)
	s.Call("SSL_SetURL", fd, s.Text("localhost"))
	s.Call("SSL_ResetHandshake", fd, null)

	forever, now := s.Constant(math.MaxUint32), s.number(0)
	s.write("libnss_PR_Write", "PR_Write", fd, "written", len("written"))
	s.read("libnss_PR_Read", "PR_Read", fd, "\x00read\xff", len("\x00read\xff"))
	s.write("libnss_PR_Send", "PR_Send", fd, long(), len(long()), null, forever)
	s.read("libnss_PR_Recv", "PR_Recv", fd, long(), len(long()), null, forever)
	s.addLayer(fd)
	s.write("libnss_PR_Write", "PR_Write", fd, "through a layer", len("through a layer"))
	s.fail(unix.EAGAIN, -1, "libnss_PR_Recv", "PR_Recv", fd, s.Bytes("", 64), s.number(64), null, now)

	s.withoutTLS(s.Call("PR_ImportTCPSocket", s.number(plainConn)))
	s.closeForWriting()
	s.fail(unix.EPIPE, -1, "libnss_PR_Send", "PR_Send", fd, s.Bytes("", 64), s.number(64), null, forever)
	s.End()
	return s
}

// withoutTLS writes to a connection that has no TLS.
func (s *script) withoutTLS(fd word) {
	const text = "in clear text"
	s.expect(noEvent, s.Call("PR_Write", fd, s.Text(text), s.number(len(text))), len(text), "")
	s.addLayer(fd)
	s.expect(noEvent, s.Call("PR_Write", fd, s.Text(text), s.number(len(text))), len(text), "")
}

// addLayer puts a layer above the others that does nothing.
func (s *script) addLayer(fd word) {
	const above = -2
	identity := s.Call("PR_GetUniqueIdentity", s.Text("nothing"))
	layer := s.Call("PR_CreateIOLayerStub", identity, s.Call("PR_GetDefaultIOMethods"))
	s.expect(noEvent, s.Call("PR_PushIOLayer", fd, s.number(above), layer), 0, "")
}
