// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build amd64 || arm64

package otlp

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/internal/seccomp"
	"github.com/gizmo-ebpf/gizmo/sink/metrics"
)

// The environment variables that make the program of the tests one that pushes and may do nothing else: a filter cannot be removed.
const (
	childEndpoint = "GIZMO_OTLP_ENDPOINT"
	childProtocol = "GIZMO_OTLP_PROTOCOL"
	childCert     = "GIZMO_OTLP_CERT"
)

// A process that may do as little as gizmo while a gadget runs can still push: to a name, encrypted, and over a new connection when
// the receiver has closed the first one.
func TestPushWithFilter(t *testing.T) {
	t.Parallel()
	certs := newCertificates(t)
	eachProtocol(t, func(t *testing.T, protocol string) {
		r := new(receiver)
		r.serve(t, protocol, &tls.Config{Certificates: []tls.Certificate{certs.pair}, NextProtos: []string{"h2", "http/1.1"}})
		_, port, _ := net.SplitHostPort(r.address)
		child := exec.Command(os.Args[0])
		child.Env = append(os.Environ(), childEndpoint+"=localhost:"+port, childProtocol+"="+protocol, childCert+"="+certs.cert)
		out, err := child.CombinedOutput()
		if err != nil || r.taken() != 2 {
			t.Errorf("%d requests, %v\n%s", r.taken(), err, out)
		}
	})
}

func TestMain(m *testing.M) {
	if os.Getenv(childEndpoint) == "" {
		os.Exit(m.Run())
	}
	if err := pushWithFilter(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func pushWithFilter() error {
	e, err := New(Config{
		Exporter: os.Getenv(childProtocol), Endpoint: os.Getenv(childEndpoint), CA: os.Getenv(childCert), ServerName: "box.example",
	}, nil)
	if err != nil {
		return err
	}
	readings := metrics.NewReadings([]metrics.Instrument{{Name: "jobs"}}, nil, func() []metrics.Reading {
		return []metrics.Reading{{Values: []metrics.Value{metrics.Whole(3)}}}
	})
	runtime.LockOSThread() // no_new_privs is a matter of the thread, until the filter gives it to all
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	if err := seccomp.Restrict(seccomp.Needs{Maps: true, Internet: true}); err != nil {
		return err
	}
	for range 2 {
		e.Add("m", readings)()
		e.sender.disconnect()
	}
	return e.Close(context.Background())
}
