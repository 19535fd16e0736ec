// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"time"
)

// server has TLS with a certificate of its own.
type server struct{ config *tls.Config }

func newServer() (*server, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	return &server{&tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{cert}, PrivateKey: key}},
		MinVersion:   tls.VersionTLS13,
		// So that each message of the server is one that the client asks for, and one record.
		SessionTicketsDisabled:      true,
		DynamicRecordSizingDisabled: true,
	}}, nil
}

// connect makes the connections of a client, for its process, and serves the first. The channel gets the result.
func (s *server) connect(exchanges []exchange) (client []*os.File, served <-chan error, err error) {
	file, conn, err := connection()
	if err != nil {
		return nil, nil, err
	}
	plain, other, err := connection()
	if err != nil {
		return nil, nil, err
	}
	result := make(chan error, 1)
	go func() {
		defer conn.Close()
		defer other.Close()
		result <- s.serve(conn, exchanges)
	}()
	return []*os.File{file, plain}, result, nil
}

func (s *server) serve(conn net.Conn, exchanges []exchange) error {
	if len(exchanges) == 0 {
		return nil
	}
	c := tls.Server(conn, s.config)
	for i, x := range exchanges {
		got := make([]byte, len(x.read))
		if _, err := io.ReadFull(c, got); err != nil || string(got) != x.read {
			return fmt.Errorf("message %d to the server is %q: %w", i, got, errors.Join(err))
		}
		if x.answer == "" {
			continue
		}
		if _, err := io.WriteString(c, x.answer); err != nil {
			return fmt.Errorf("answer message %d: %w", i, err)
		}
	}
	_, err := io.Copy(io.Discard, conn) // until the client ends the connection
	return err
}

// connection returns the two ends of a connection, the client's as a file that waits.
func connection() (*os.File, net.Conn, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, nil, err
	}
	defer l.Close()
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		return nil, nil, err
	}
	defer conn.Close()
	accepted, err := l.Accept()
	if err != nil {
		return nil, nil, err
	}
	file, err := conn.(*net.TCPConn).File()
	return file, accepted, err
}
