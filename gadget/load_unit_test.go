// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package gadget

import (
	"strings"
	"testing"

	"github.com/cilium/ebpf"

	"github.com/gizmo-ebpf/gizmo/gadget/image"
	"github.com/gizmo-ebpf/gizmo/gadget/internal/choose"
)

func TestLoadRefusesWrongPrograms(t *testing.T) {
	t.Parallel()
	g, err := Load(parse(t, "sections"), nil) // before it asks for privileges
	if err == nil || !strings.Contains(err.Error(), "its map is missing: add GADGET_ITER_TARGET_MAP") {
		t.Errorf("got %v", err)
	}
	if g != nil {
		t.Error("a gadget beside an error")
	}
}

func TestLoadRefusesUnknownAndBadValues(t *testing.T) {
	t.Parallel()
	img := parse(t, "tracer")
	for want, values := range map[string]map[string]image.Value{
		`the gadget has no param variable "majic"; did you mean "magic"?`: {"majic": {0, 0, 0, 0}},
		`param "magic": `: {"magic": {1, 2}},
		`param "pid": `:   {"targ_pid": nil, "magic": make(image.Value, 4)},
	} {
		_, err := prepared(img, &LoadOptions{Params: values})
		if strings.HasPrefix(want, `param "pid"`) {
			if err != nil { // nil: the error says nothing
				t.Error(err)
			}
			continue
		}
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func TestDisabledProgramsAreNotPrepared(t *testing.T) {
	t.Parallel()
	img := parseWith(t, "markers", "name: m\nprograms:\n  on:\n    attach_to: gadget_program_disabled\n  walk_a:\n    attach_to: file\n")
	spec, err := prepared(img, &LoadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if spec.Programs["on"] != nil || spec.Programs["off_by_section"] != nil {
		t.Error("disabled programs are to be loaded")
	}
	if got := spec.Programs["walk_a"].AttachTo; got != "file" {
		t.Errorf("the program is loaded for %q, want file", got)
	}
	if again, err := img.Spec(nil, nil); err != nil || again.Programs["on"] == nil {
		t.Errorf("loading changed the image: %v", err)
	}
}

// prepared returns what Load would load on a kernel that has all hooks.
func prepared(img *image.Image, o *LoadOptions) (*ebpf.CollectionSpec, error) {
	hasAll := func(*image.Program) error { return nil }
	g := &Gadget{image: img, programs: choose.Loaded(choose.New(img, hasAll).Choose())}
	return g.prepare(o)
}
