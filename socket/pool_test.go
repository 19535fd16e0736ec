// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package socket

import (
	"testing"

	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
)

// Gadgets share owners that have the fields they read, until the last one closes its lease.
func TestPoolShares(t *testing.T) {
	kerneltest.RequireRoot(t)
	pool := NewPool(Options{Fields: Fields{Exepath: 64}, MaxSockets: 1000, Logger: logger(t)})
	get := func(fields ...string) *Lease {
		l, err := pool.Get(fields)
		if err != nil {
			t.Fatal(explain(err))
		}
		return l
	}
	first, second := get("pid_tgid"), get("task", "cwd") // the pool's options leave out cwd
	if first != second {
		t.Fatal("two sets of programs for the same fields")
	}
	mustClose(t, first)
	if _, err := second.Full(); err != nil {
		t.Error("closed too early:", err)
	}
	long := get("exepath")
	if long == second || long.sizes.fields.Exepath != 64 {
		t.Error("owners without the field")
	}
	if short := get("pid_tgid"); short != second {
		t.Error("the pool has owners that would do")
	} else {
		mustClose(t, short)
	}
	mustClose(t, second)
	if err := second.Close(); err == nil {
		t.Error("closed twice without an error")
	}
	if again := get("pid_tgid"); again != long {
		t.Error("owners with more fields would do")
	}
	mustClose(t, long)
	mustClose(t, long)
	fresh := get()
	if fresh == long || fresh == second {
		t.Error("the pool has kept owners that are closed")
	}
	mustClose(t, fresh)
	if len(pool.open) != 0 {
		t.Error("left:", pool.open)
	}
}

func mustClose(t *testing.T, l *Lease) {
	t.Helper()
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}
