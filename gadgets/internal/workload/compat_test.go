// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"errors"
	"strings"
	"testing"

	"github.com/gizmo-ebpf/gizmo/internal/int80"
)

func TestCompat(t *testing.T) {
	t.Parallel()
	var log strings.Builder
	no, called := errors.New("no luck"), 0
	do := func(n int, low *int80.LowMemory) {
		called += n
		if low.Text("a text")>>32 != 0 {
			t.Error("memory that calls of 32-bit programs do not reach")
		}
	}
	compat(&log, nil, do)(7)
	if int80.Available() == nil && (called != 7 || log.Len() > 0) {
		t.Errorf("called with %d, log %q", called, log.String())
	}
	called = 0
	compat(&log, no, do)(7)
	if called != 0 {
		t.Errorf("calls that the machine does not take were made: %d", called)
	}
	if want := "workload: calls of 32-bit programs are left out: no luck\n"; log.String() != want {
		t.Errorf("log %q, want %q", log.String(), want)
	}
}
