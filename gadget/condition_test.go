// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package gadget

import (
	"fmt"
	"strings"
	"testing"
)

func TestConditionsDisableProgramsThatNoParamWants(t *testing.T) {
	t.Parallel()
	const secondIsOff = "params: {ebpf: {second: {defaultValue: false}, first: {key: the-first}}}"
	for _, c := range []struct{ yaml, set, want string }{ // those in brackets may be left out
		{"", "", "b"},
		{"", "first=1", "a b"},
		{"", "all=1", "a b (d)"},
		{"", "second=0 first=1", "a"},
		{"", "second=0 all=1", "a (b) (d)"},
		{"", "second=0", "the gadget needs one or more of its flags --all, --first, --second"},
		{secondIsOff, "", "the gadget needs one or more of its flags --all, --second, --the-first"},
		{secondIsOff, "second=1", "b"},
		{"programs: {b: {attach_to: gadget_program_disabled}}", "", "the gadget needs"},
	} {
		img := parseWith(t, "conditions", c.yaml)
		values := make(map[string]Value)
		for _, set := range strings.Fields(c.set) {
			variable, value, _ := strings.Cut(set, "=")
			values[variable] = Value{value[0] - '0'}
		}
		before := enabled(img)
		with, err := img.withParams(values)
		if err != nil && !strings.Contains(err.Error(), c.want) || err == nil && enabled(with) != c.want {
			t.Errorf("%q with %q: got %v, %v, want %q", c.yaml, c.set, with, err, c.want)
		}
		if after := enabled(img); after != before {
			t.Errorf("%q has changed the image itself: its programs were %q and are %q", c.set, before, after)
		}
	}
}

func enabled(img *Image) string {
	var names []string
	for i := range img.Programs {
		switch p := &img.Programs[i]; {
		case p.Optional:
			names = append(names, "("+p.Name+")")
		case !p.Disabled:
			names = append(names, p.Name)
		}
	}
	return strings.Join(names, " ")
}

func TestImagesWithoutConditionsStayAsTheyAre(t *testing.T) {
	t.Parallel()
	img := parse(t, "tracer")
	with, err := img.withParams(nil)
	if with != img || err != nil {
		t.Errorf("got %v, %v", with, err)
	}
}

func TestOptionalProgramsAreLeftOutWhereTheyCannotRun(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ absent, want string }{
		{"", "a b c"},
		{"a", "b c"},
		{"ac", "b c"}, // loading tells what is missing
	} {
		img := imageOn(c.absent, Program{Name: "a", Optional: true}, Program{Name: "b", Optional: true}, Program{Name: "c"})
		var got []string
		for _, p := range loaded(newChooser(img, nil).choose()) {
			got = append(got, p.Name)
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("absent %q: chosen %q, want %q", c.absent, got, c.want)
		}
	}
}

func TestNoneOfTheOptionalProgramsCanRun(t *testing.T) {
	t.Parallel()
	for absent, want := range map[string]string{"ab": "not there (nor can it run 1 more of the gadget's programs)", "a": "<nil>"} {
		img := imageOn(absent, Program{Name: "a", Optional: true}, Program{Name: "b", Optional: true}, Program{Name: "c", Disabled: true})
		g := &Gadget{choices: newChooser(img, nil).choose()}
		g.programs = loaded(g.choices)
		if err := g.checkOptional(nil); fmt.Sprint(err) != want {
			t.Errorf("absent %q: got %v, want %s", absent, err, want)
		}
	}
}
