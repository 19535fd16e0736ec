// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"io"
	"math/big"
	"net"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/gadgets/internal/workload"
)

// network is a way to reach this machine.
type network struct{ domain, version int }

func (n network) loopback() unix.Sockaddr {
	if n.version == 4 {
		return &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}
	}
	return &unix.SockaddrInet6{Addr: [16]byte{15: 1}}
}

func (n network) socket() int {
	return workload.Must(unix.Socket(n.domain, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0))
}

func endpoint(a unix.Sockaddr) workload.Endpoint { return workload.EndpointAt(a, unix.IPPROTO_TCP) }

func local(fd int) unix.Sockaddr { return workload.Must(unix.Getsockname(fd)) }

// serverConfig has a certificate that proves nothing.
func serverConfig() (*tls.Config, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{cert}, PrivateKey: key}}}, nil
}

func serve(t *thread, n network, config *tls.Config, list []connection, bound chan<- unix.Sockaddr) {
	listener := n.socket()
	defer unix.Close(listener)
	workload.Check("bind", unix.Bind(listener, n.loopback()))
	workload.Check("listen", unix.Listen(listener, 1))
	bound <- local(listener)
	for i := range list {
		fd, from, err := unix.Accept4(listener, unix.SOCK_CLOEXEC)
		workload.Check("accept", err)
		t.list(&list[i], endpoint(from), endpoint(local(fd)), "HOST")
		stream := &socket{fd: fd}
		if list[i].plain == "" {
			conn := tls.Server(stream, config)
			workload.Must(conn.Write([]byte("x"))) // after the handshake
		}
		workload.Must(io.Copy(io.Discard, stream))
		workload.Check("close", unix.Close(fd))
	}
}

func connect(t *thread, n network, list []connection, to unix.Sockaddr) {
	for i := range list {
		c := &list[i]
		fd := n.socket()
		workload.Check("connect", unix.Connect(fd, to))
		workload.Check("send at once", unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1))
		t.list(c, endpoint(local(fd)), endpoint(to), "OUTGOING")
		if c.plain != "" {
			workload.Must(unix.Write(fd, []byte(c.plain)))
		} else {
			config := &tls.Config{ServerName: c.name, InsecureSkipVerify: true, ClientSessionCache: c.resumes}
			conn := tls.Client(&socket{fd: fd, hello: c}, config)
			workload.Must(io.ReadFull(conn, make([]byte, 1))) // after the handshake and the ticket
		}
		workload.Check("close", unix.Close(fd))
	}
}

// socket is a connection whose calls run on the thread that makes them. Its first write may be cut into pieces.
type socket struct {
	net.Conn // nil: the other methods are not called
	fd       int
	hello    *connection
}

func (s *socket) Read(p []byte) (int, error) {
	n, err := unix.Read(s.fd, p)
	if n <= 0 {
		return 0, endOr(err)
	}
	return n, nil
}

// endOr returns the error of a read that gave nothing: without one, and after a reset, the stream has ended.
func endOr(err error) error {
	if err == nil || err == unix.ECONNRESET {
		return io.EOF
	}
	return err
}

func (s *socket) Write(p []byte) (int, error) {
	size := len(p)
	pieces := [][]byte{p}
	if c := s.hello; c != nil {
		s.hello = nil
		if c.records > 0 {
			p = inRecords(p, c.records)
			pieces = [][]byte{p}
		}
		if c.pieces > 0 {
			pieces = cut(p, c.pieces)
		}
	}
	for _, piece := range pieces {
		if _, err := unix.Write(s.fd, piece); err != nil {
			return 0, err
		}
	}
	return size, nil
}

func (s *socket) Close() error { return nil }

func (s *socket) SetWriteDeadline(time.Time) error { return nil }

// inRecords distributes what is in one TLS record over several.
func inRecords(record []byte, size int) []byte {
	const header = 5
	var all []byte
	for _, part := range cut(record[header:], size) {
		all = append(all, record[:header-2]...)
		all = binary.BigEndian.AppendUint16(all, uint16(len(part)))
		all = append(all, part...)
	}
	return all
}

func cut(p []byte, size int) [][]byte {
	var pieces [][]byte
	for ; len(p) > size; p = p[size:] {
		pieces = append(pieces, p[:size])
	}
	return append(pieces, p)
}
