// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package image

import (
	"errors"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
)

func TestPreferencesThatMakeNoSense(t *testing.T) {
	t.Parallel()
	img := &Image{
		Programs: []Program{{Name: "a"}, {Name: "b"}, {Name: "c"}},
		spec:     &ebpf.CollectionSpec{Programs: map[string]*ebpf.ProgramSpec{"a": {}, "b": {}, "c": {}}},
	}
	if err := errors.Join(img.addPreference("a", "b"), img.addPreference("b", "c")); err != nil {
		t.Fatal(err)
	}
	for pair, want := range map[string]string{
		"a>a": "stand in for itself",
		"c>a": "stand in for itself",
		"x>a": `no program "x"`,
		"a>x": `no program "x"`,
	} {
		if err := img.addPreference(pair[:1], pair[2:]); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", pair, err, want)
		}
	}
}
