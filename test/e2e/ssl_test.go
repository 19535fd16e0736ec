// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"strings"
	"testing"

	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
)

// runSSL runs trace_ssl with its workload.
func runSSL(t *testing.T, args ...string) []jsonEvent {
	t.Helper()
	w := startWorkload(t, "trace_ssl", t.TempDir())
	if missing := hooksOf(t, "trace_ssl", w.Args).missing(offered(t)); len(missing) > 0 {
		t.Fatalf("this kernel lacks %s", summary(missing))
	}
	r := w.run(t, args...)
	if got, want := len(r.events.rows), len(r.want.rows); got != want {
		t.Fatalf("%d events, want %d", got, want)
	}
	return r.events.rows
}

// With --record-data=false, events have everything but the data.
func TestSSLWithoutData(t *testing.T) {
	kerneltest.RequireRoot(t)
	moved := 0
	for _, e := range runSSL(t, "--record-data=false") {
		if e.get("buf") != "" || e.get("buf_len") != "0" {
			t.Errorf("data in %v", e)
		}
		if e.get("len") != "0" {
			moved++
		}
	}
	if moved < 10 {
		t.Errorf("%d events have moved data", moved)
	}
}

// A call takes time, and longer than one that it makes itself.
func TestSSLLatency(t *testing.T) {
	kerneltest.RequireRoot(t)
	inner := map[string]string{
		"libcrypto_RSA_sign": "libcrypto_RSA_private_encrypt", "libcrypto_RSA_verify": "libcrypto_RSA_public_decrypt",
	}
	var before jsonEvent
	nested := 0
	for _, e := range runSSL(t) {
		latency := number(t, e.get("latency_ns_raw"))
		if latency == 0 || latency > 60e9 {
			t.Errorf("a call of %d ns: %v", latency, e)
		}
		if name := inner[e.get("operation")]; name != "" {
			nested++
			if before.get("operation") != name || number(t, before.get("latency_ns_raw")) >= latency {
				t.Errorf("within %v is %v", e, before)
			}
		}
		before = e
	}
	if nested != 3 {
		t.Errorf("%d nested calls", nested)
	}
}

// With --socket-errors=false nothing is attached to the kernel's sockets, and only GnuTLS gives errors.
func TestSSLWithoutSocketErrors(t *testing.T) {
	kerneltest.RequireRoot(t)
	errors := 0
	for _, e := range runSSL(t, "--socket-errors=false") {
		if e.get("error") == "" {
			continue
		}
		errors++
		if !strings.HasPrefix(e.get("operation"), "libgnutls_") || e.get("error") != "EAGAIN" {
			t.Errorf("an error in %v", e)
		}
	}
	if errors != 1 {
		t.Errorf("%d errors", errors)
	}
}
