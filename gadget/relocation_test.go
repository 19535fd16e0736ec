// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package gadget

import (
	"errors"
	"strings"
	"testing"

	"github.com/gizmo-ebpf/gizmo/gadget/image"
	"github.com/gizmo-ebpf/gizmo/gadget/internal/prepare"
	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
)

// A gadget that asks whose a socket is loads, and gets no answer.
func TestSocketsWithoutOwners(t *testing.T) {
	g := load(t, parse(t, "absent"), LoadOptions{})
	m := g.coll.Maps[prepare.SocketsMap]
	if m.ValueSize() != 88 || m.MaxEntries() != 1 {
		t.Errorf("the map has %d entries of %d bytes", m.MaxEntries(), m.ValueSize())
	}
}

// If a program reads a type or member that the kernel does not have, the error names it.
func TestMissingTypeIsNamed(t *testing.T) {
	kerneltest.RequireRoot(t)
	img := parse(t, "absent")
	values := make(map[string]image.Value)
	setParam(t, img, values, "strange", 1)
	_, err := Load(img, &LoadOptions{Params: values})
	const want = "it reads a member of struct no_such_thing that the kernel's types (BTF) do not have in the form that the source calls no_such_thing___of_tomorrow"
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want %s", err, want)
	}
	var rejected *VerifierError
	if !errors.As(err, &rejected) || !rejected.Absent {
		t.Errorf("it is not what the kernel lacks: %+v", rejected)
	}
}

func TestMissingType(t *testing.T) {
	t.Parallel()
	for relocation, want := range map[string]string{
		`CORERelocation(byte_off, Struct:"a_b"[0:1], local_id=7)`: "a member of struct a_b that",
		`CORERelocation(enumval_value, Enum:"e"[0], local_id=7)`:  "a member of enum e that",
		"anything": "types (BTF) do not have: anything",
	} {
		if got := missingType(relocation); !strings.Contains(got, want) {
			t.Errorf("%s: got %s", relocation, got)
		}
	}
}
