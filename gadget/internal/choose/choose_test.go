// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package choose

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/gizmo-ebpf/gizmo/gadget/image"
)

// imageOf returns an image of programs, some of which stand in for others: "a>b" makes b the stand-in of a.
func imageOf(prefer string, programs ...image.Program) *image.Image {
	img := &image.Image{Programs: slices.Clone(programs)}
	for _, pair := range strings.Fields(prefer) {
		better, standIn, _ := strings.Cut(pair, ">")
		p := img.Program(standIn)
		p.StandsInFor = append(p.StandsInFor, better)
	}
	return img
}

// lacking is a kernel without the hooks of the programs with names in absent.
func lacking(absent string) func(*image.Program) error {
	return func(p *image.Program) error {
		if strings.Contains(absent, p.Name) {
			return errors.New("not there")
		}
		return nil
	}
}

func TestChooseTakesTheFirstThatRuns(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ absent, disabled, prefer, want string }{
		{"", "", "", "a b c d"},
		{"abcd", "", "", "a b c d"}, // loading reports what is missing
		{"", "", "a>b", "a c d"},
		{"a", "", "a>b", "b c d"},
		{"ab", "", "a>b", "b c d"},
		{"", "", "a>b b>c", "a d"},
		{"a", "", "a>b b>c", "b d"},
		{"ab", "", "a>b b>c", "c d"},
		{"", "", "a>c a>d", "a b"}, // one fexit for a kprobe and a kretprobe
		{"a", "", "a>c a>d", "b c d"},
		{"", "", "a>c b>c", "a b d"}, // one stand-in of two programs
		{"a", "", "a>c b>c", "c d"},  // one of them alone would not do
		{"b", "", "a>c b>c", "c d"},
		{"b", "", "a>b b>d c>d", "a c"},
		{"c", "", "a>b b>d c>d", "d"},
		{"", "a", "a>b", "b c d"},
		{"a", "b", "a>b", "a c d"}, // a stand-in that is disabled is none
	} {
		var programs []image.Program
		for _, name := range []string{"a", "b", "c", "d"} {
			programs = append(programs, image.Program{Name: name, Disabled: name == c.disabled})
		}
		img := imageOf(c.prefer, programs...)
		var got []string
		for _, p := range Loaded(New(img, lacking(c.absent)).Choose()) {
			got = append(got, p.Name)
		}
		if !slices.Equal(got, strings.Fields(c.want)) {
			t.Errorf("absent %q, disabled %q, %q: chosen %q, want %q", c.absent, c.disabled, c.prefer, got, c.want)
		}
	}
}

// However many pairs an object has, choosing does not take long.
func TestChooseAmongMany(t *testing.T) {
	t.Parallel()
	var programs []image.Program
	for i := range 200 {
		programs = append(programs, image.Program{Name: fmt.Sprintf("p%03d", i)})
	}
	for i := range programs {
		for j := range i {
			programs[i].StandsInFor = append(programs[i].StandsInFor, programs[j].Name)
		}
	}
	got := Loaded(New(imageOf("", programs...), lacking("p000 p002")).Choose())
	if len(got) != 1 || got[0].Name != "p199" { // each of the others would need p000 or p002
		t.Errorf("%d chosen", len(got))
	}
}

func TestOptionalProgramsAreLeftOutWhereTheyCannotRun(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ absent, want string }{
		{"", "a b c"},
		{"a", "b c"},
		{"ac", "b c"}, // loading reports what is missing
	} {
		img := imageOf("", image.Program{Name: "a", Optional: true}, image.Program{Name: "b", Optional: true}, image.Program{Name: "c"})
		var got []string
		for _, p := range Loaded(New(img, lacking(c.absent)).Choose()) {
			got = append(got, p.Name)
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("absent %q: chosen %q, want %q", c.absent, got, c.want)
		}
	}
}

func TestRefuse(t *testing.T) {
	t.Parallel()
	programs := []image.Program{{Name: "a"}, {Name: "b"}, {Name: "c"}, {Name: "d", Optional: true}, {Name: "e", Disabled: true}}
	for _, c := range []struct{ prefer, refuse, want, inVain string }{
		{"a>b", "a", "b c d", ""},
		{"a>b", "b", "a c d", "b"}, // the stand-in has no stand-in
		{"a>b b>c", "a b", "c d", ""},
		{"a>c b>c", "b", "c d", ""}, // one of them alone would not do
		{"a>e", "a", "a b c d", "a"},
		{"a>b", "d", "a c d", "d"}, // optional, but it may be missing only if its hook is
		{"", "a b", "a b c d", "a b"},
	} {
		img := imageOf(c.prefer, programs...)
		choose := New(img, lacking(""))
		choose.Choose() // its result must not be cached
		var inVain []string
		for _, name := range strings.Fields(c.refuse) {
			if !choose.Refuse(img.Program(name), errors.New("refused")) {
				inVain = append(inVain, name)
			}
		}
		var got []string
		for _, p := range Loaded(choose.Choose()) {
			got = append(got, p.Name)
		}
		if !slices.Equal(got, strings.Fields(c.want)) || !slices.Equal(inVain, strings.Fields(c.inVain)) {
			t.Errorf("%q without %q: chosen %q, in vain %q; want %q, %q", c.prefer, c.refuse, got, inVain, c.want, c.inVain)
		}
	}
}
