// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package semtype

import (
	"strconv"
	"testing"

	"github.com/gizmo-ebpf/gizmo/event"
)

func TestRememberAsksOnlyForNewValues(t *testing.T) {
	t.Parallel()
	f := event.Field{Kind: event.Uint, Size: 1}
	asked, version := 0, uint64(0)
	text := rememberWhile(f, func() uint64 { return version }, func(dst []byte, b *event.Batch, row int) []byte {
		asked++
		return strconv.AppendUint(append(dst, 'v'), f.Uint(b.Rows[row])+100*version, 10)
	})
	b := &event.Batch{Rows: [][]byte{{0}, {0}, {7}, {7}, {0}}}
	for i, want := range []struct {
		text  string
		asked int
	}{{"v0", 1}, {"v0", 1}, {"v7", 2}, {"v7", 2}, {"v0", 3}} {
		if got := text([]byte("x"), b, i); string(got) != "x"+want.text || asked != want.asked {
			t.Errorf("row %d: %q after %d questions, want %q after %d", i, got, asked, want.text, want.asked)
		}
	}
	version = 1
	if got := text(nil, b, 4); string(got) != "v100" {
		t.Errorf("with another version: %q", got)
	}
}

func TestRememberAllocatesNothing(t *testing.T) {
	f := event.Field{Kind: event.Uint, Size: 1}
	text := remember(f, func(dst []byte, _ *event.Batch, _ int) []byte { return append(dst, "text"...) })
	b := &event.Batch{Rows: [][]byte{{0}, {1}}}
	dst := make([]byte, 0, 64)
	row := 0
	if n := testing.AllocsPerRun(100, func() { row = 1 - row; text(dst, b, row) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
