// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"strconv"
	"testing"
	"time"

	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
)

// An answer has the time since its query where the client gets it. Filters know the fields that are read from the message.
func TestDNSLatencyAndFilters(t *testing.T) {
	kerneltest.RequireRoot(t)
	w := startWorkload(t, "trace_dns", t.TempDir())
	undisturbed(t, w, func(t *kerneltest.Attempt, w *workload) {
		begin := time.Now()
		r := w.run(t, "-F", "qr==R,name~^www\\.example,qtype==A,rcode==Success,pkt_type==HOST")
		took := time.Since(begin)
		const conversations = 4 // two networks, two transports
		if len(r.events.rows) != conversations {
			t.Errorf("%d events, want %d: %v", len(r.events.rows), conversations, r.events.rows)
		}
		for _, e := range r.events.rows {
			latency, err := strconv.Atoi(e.get("latency_ns_raw"))
			if err != nil || latency <= 0 || time.Duration(latency) > took {
				t.Errorf("latency %q within a run of %v: %s", e.get("latency_ns_raw"), took, e)
			}
			if got := e.get("addresses"); got != "192.0.2.7,192.0.2.8" {
				t.Errorf("addresses %q: %s", got, e)
			}
		}
	})
}
