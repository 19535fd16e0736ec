// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package image

import (
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
		{"", "second=0", "the gadget needs one or more of its params all, first, second"},
		{secondIsOff, "", "the gadget needs one or more of its params all, second, the-first"},
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
		with, err := img.WithParams(values)
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
	with, err := img.WithParams(nil)
	if with != img || err != nil {
		t.Errorf("got %v, %v", with, err)
	}
}
