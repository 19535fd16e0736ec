// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package containertest

import (
	"cmp"
	"context"
	"net"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/gizmo-ebpf/gizmo/container"
)

// nothingLeft makes all calls and closes the client, again and again, so that any leak adds up.
func nothingLeft(t testing.TB, c *Case) {
	n := c.Neighbour(t)
	id := n.Create(t, Wanted{"left", nil})
	defer n.Remove(t, id)
	n.Start(t, id)
	defer n.End(t, id)
	silent := Serve(t, func(conn net.Conn) { _, _ = conn.Read(make([]byte, 1<<20)); _, _ = conn.Read(make([]byte, 1)) })
	use := func() {
		rt := c.client(n.Socket)
		rt.list(t)
		rt.get(t, id)
		_ = rt.watch(t, func() {}).stop(t)
		short, cancel := context.WithTimeout(context.Background(), time.Millisecond)
		defer cancel()
		for _, call := range calls() {
			_ = call.do(short, rt)
		}
		rt.closing(t)
		rt = c.client(silent)
		for _, call := range calls() {
			short, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
			_ = call.do(short, rt)
			cancel()
		}
		rt.closing(t)
		c.client(n.Socket).closing(t) // which was never used
	}
	use() // so that everything that is made only once exists
	use()
	goroutines, files := runtime.NumGoroutine(), openFiles(t)
	const rounds = 9
	for range rounds {
		use()
	}
	for end := time.Now().Add(cmp.Or(c.patience, patience/2)); ; time.Sleep(10 * time.Millisecond) {
		moreGoroutines, moreFiles := runtime.NumGoroutine()-goroutines, openFiles(t)-files
		if moreGoroutines < rounds && moreFiles < rounds {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("%d goroutines and %d open files were left behind by %d clients", moreGoroutines, moreFiles, rounds)
		}
	}
}

func openFiles(t testing.TB) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// keepsNoLargeText checks that the part that a client cuts off a large label does not stay in memory.
func keepsNoLargeText(t testing.TB, rt *client, id string, large int) {
	t.Helper()
	const times = 8
	kept := make([]container.Identity, 0, times)
	var before, after runtime.MemStats
	collect()
	runtime.ReadMemStats(&before)
	for range times {
		kept = append(kept, rt.list(t)[id])
	}
	collect()
	runtime.ReadMemStats(&after)
	if grown := int(after.HeapAlloc) - int(before.HeapAlloc); grown > times*large/2 {
		t.Errorf("%d identities with a label that had %d KiB keep %d KiB in memory", times, large>>10, grown>>10)
	}
	runtime.KeepAlive(kept)
}

// collect frees memory, including that of pools, which keep it for one more collection.
func collect() {
	for range 3 {
		runtime.GC()
	}
}
