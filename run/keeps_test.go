// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package run_test

import (
	"io"
	"runtime"
	"testing"
	"weak"

	"github.com/gizmo-ebpf/gizmo/gadget/image"
	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
	"github.com/gizmo-ebpf/gizmo/run"
)

// An image takes more memory than the rest of a run. It is the caller's and the plan's: the run does not keep it.
func TestRunKeepsNoImage(t *testing.T) {
	kerneltest.RequireRoot(t)
	r, img := loadAndForget(t)
	defer func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}()
	runtime.GC()
	if img.Value() != nil {
		t.Error("the run refers to its image")
	}
	runtime.KeepAlive(r)
}

// loadAndForget returns a run to whose plan and image the test does not refer.
//
//go:noinline
func loadAndForget(t *testing.T) (*run.Run, weak.Pointer[image.Image]) {
	t.Helper()
	img := builtin(t, "trace_open")
	plan, err := run.NewPlan(run.Options{
		Gadgets: []run.Gadget{{Image: img, Params: map[string]string{"pid": "1"}}},
		Text:    &run.Text{W: io.Discard},
	})
	if err != nil {
		t.Fatal(err)
	}
	r, err := plan.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return r, weak.Make(img)
}
