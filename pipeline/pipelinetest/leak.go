// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package pipelinetest

import (
	"fmt"
	"os"
	"reflect"
	"runtime"
	"testing"
	"time"

	"github.com/gizmo-ebpf/gizmo/event"
)

// rounds is how often a suite repeats an action that must leave nothing behind. A leak grows with each round, which
// distinguishes it from things that are made once.
const rounds = 9

// leavesNothing calls do several times and compares the process's goroutines and files before and after.
func leavesNothing(t testing.TB, do func(round int)) {
	t.Helper()
	for round := range 3 {
		do(round) // things that are made once are made now
	}
	goroutines, files := runtime.NumGoroutine(), openFiles(t)
	for round := range rounds {
		do(round)
	}
	settle(t, "goroutines", func() int { return runtime.NumGoroutine() - goroutines })
	settle(t, "open files", func() int { return openFiles(t) - files })
}

// settle waits until fewer things are left over than one for each round that used them.
func settle(t testing.TB, what string, left func() int) {
	t.Helper()
	const used = rounds / 3 // each way to use it
	n := 0
	for end := time.Now().Add(2 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if n = left(); n < used {
			return
		}
	}
	t.Errorf("%d %s were left behind in %d runs", n, what, rounds)
}

func openFiles(t testing.TB) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatalf("counting open files: %v", err)
	}
	return len(entries)
}

// schemaChange says how a schema differs from what it was; "" if it does not.
func schemaChange(before, after *event.Schema) string {
	switch {
	case before.ID() != after.ID():
		return fmt.Sprintf("it is called %q", after.ID())
	case before.Single != after.Single || before.Size != after.Size:
		return "its records are others"
	case len(before.Fields) != len(after.Fields):
		return fmt.Sprintf("it has %d fields, not %d", len(after.Fields), len(before.Fields))
	case len(before.Columns()) != len(after.Columns()):
		return fmt.Sprintf("it has %d columns, not %d", len(after.Columns()), len(before.Columns()))
	}
	for i := range before.Fields {
		if !sameField(&before.Fields[i], &after.Fields[i], true) {
			return fmt.Sprintf("field %q is another", before.Fields[i].Name)
		}
	}
	return ""
}

// sameField compares two fields; if they must be identical, also their functions and tables.
func sameField(a, b *event.Field, identical bool) bool {
	x, y := *a, *b
	if (x.Text == nil) != (y.Text == nil) || (x.Table == nil) != (y.Table == nil) {
		return false
	}
	if identical && (reflect.ValueOf(x.Text).Pointer() != reflect.ValueOf(y.Text).Pointer() || !sameTable(x.Table, y.Table)) {
		return false
	}
	x.Text, y.Text, x.Table, y.Table = nil, nil, nil, nil
	return reflect.DeepEqual(x, y)
}

func sameTable(a, b event.Table) bool {
	if a == nil || !reflect.ValueOf(a).Comparable() {
		return reflect.TypeOf(a) == reflect.TypeOf(b)
	}
	return a == b
}
