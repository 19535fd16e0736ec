// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package gadget

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
)

// imageOn returns an image of programs of whose hooks the kernel lacks those with names in absent.
func imageOn(absent string, programs ...Program) *Image {
	h := &hook{missing: func(_ *kernel, p *Program) error {
		if strings.Contains(absent, p.Name) {
			return errors.New("not there")
		}
		return nil
	}}
	img := &Image{spec: &ebpf.CollectionSpec{Programs: make(map[string]*ebpf.ProgramSpec)}}
	for _, p := range programs {
		p.hook = h
		img.Programs = append(img.Programs, p)
		img.spec.Programs[p.Name] = &ebpf.ProgramSpec{}
	}
	return img
}

func TestChooseTakesTheFirstThatRuns(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ absent, disabled, prefer, want string }{
		{"", "", "", "a b c d"},
		{"abcd", "", "", "a b c d"}, // loading tells what is missing
		{"", "", "a>b", "a c d"},
		{"a", "", "a>b", "b c d"},
		{"ab", "", "a>b", "b c d"},
		{"", "", "a>b b>c", "a d"},
		{"a", "", "a>b b>c", "b d"},
		{"ab", "", "a>b b>c", "c d"},
		{"", "", "a>c a>d", "a b"}, // one fexit for a kprobe and a kretprobe
		{"a", "", "a>c a>d", "b c d"},
		{"", "", "a>c b>c", "a b d"}, // two for one
		{"a", "", "a>c b>c", "c d"},  // one of them alone would not do
		{"b", "", "a>c b>c", "c d"},
		{"b", "", "a>b b>d c>d", "a c"},
		{"c", "", "a>b b>d c>d", "d"},
		{"", "a", "a>b", "b c d"},
		{"a", "b", "a>b", "a c d"}, // a stand-in that is disabled is none
	} {
		var programs []Program
		for _, name := range []string{"a", "b", "c", "d"} {
			programs = append(programs, Program{Name: name, Disabled: name == c.disabled})
		}
		img := imageOn(c.absent, programs...)
		for _, pair := range strings.Fields(c.prefer) {
			if err := img.addPreference(pair[:1], pair[2:]); err != nil {
				t.Fatal(err)
			}
		}
		var got []string
		for _, p := range loaded(newChooser(img, nil).choose()) {
			got = append(got, p.Name)
		}
		if !slices.Equal(got, strings.Fields(c.want)) {
			t.Errorf("absent %q, disabled %q, %q: chosen %q, want %q", c.absent, c.disabled, c.prefer, got, c.want)
		}
	}
}

func TestPreferencesThatMakeNoSense(t *testing.T) {
	t.Parallel()
	img := imageOn("", Program{Name: "a"}, Program{Name: "b"}, Program{Name: "c"})
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

// However many pairs an object has, choosing does not take long.
func TestChooseAmongMany(t *testing.T) {
	t.Parallel()
	var programs []Program
	for i := range 200 {
		programs = append(programs, Program{Name: fmt.Sprintf("p%03d", i)})
	}
	img := imageOn("p000 p002", programs...)
	for i := range programs {
		for j := range i {
			if err := img.addPreference(programs[j].Name, programs[i].Name); err != nil {
				t.Fatal(err)
			}
		}
	}
	got := loaded(newChooser(img, nil).choose())
	if len(got) != 1 || got[0].Name != "p199" { // each of the others would need p000 or p002
		t.Errorf("%d chosen", len(got))
	}
}
