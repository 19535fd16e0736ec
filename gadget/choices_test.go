// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package gadget

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/gadget/image"
	"github.com/gizmo-ebpf/gizmo/gadget/internal/choose"
)

func TestNoneOfTheOptionalProgramsCanRun(t *testing.T) {
	t.Parallel()
	for absent, want := range map[string]string{"ab": "not there (nor can it run 1 more of the gadget's programs)", "a": "<nil>"} {
		img := &image.Image{Programs: []image.Program{{Name: "a", Optional: true}, {Name: "b", Optional: true}, {Name: "c", Disabled: true}}}
		missing := func(p *image.Program) error {
			if strings.Contains(absent, p.Name) {
				return errors.New("not there")
			}
			return nil
		}
		g := &Gadget{choices: choose.New(img, missing).Choose()}
		g.programs = choose.Loaded(g.choices)
		if err := g.checkOptional(nil); fmt.Sprint(err) != want {
			t.Errorf("absent %q: got %v, want %s", absent, err, want)
		}
	}
}

func TestRefused(t *testing.T) {
	t.Parallel()
	better := &image.Program{Name: "better"}
	best := &image.Program{Name: "best"}
	p := &image.Program{Name: "p", StandsInFor: []string{"better"}}
	better.StandsInFor = []string{"best"}
	g := &Gadget{choices: []Choice{{Program: best, Why: errors.New("no fentry")}, {Program: better, Why: errors.New("no kprobes")}, {Program: p}}}
	got := g.refused(p, errors.New("no tracepoint"), unix.ENOENT)
	want := "no tracepoint: no such file or directory; it would have replaced a program that cannot run (no kprobes; it would have replaced a program that cannot run (no fentry))"
	if got.Error() != want || !errors.Is(got, unix.ENOENT) {
		t.Errorf("got  %v\nwant %s", got, want)
	}
	g.choices = append(g.choices, Choice{Program: &image.Program{Name: "other"}, Why: errors.New("no fexit")})
	p.StandsInFor = append(p.StandsInFor, "other")
	if got := g.refused(p, errors.New("no tracepoint"), unix.ENOENT); got.Error() != want+", and for 1 more" {
		t.Errorf("with another: got %v", got)
	}
	if got := g.refused(best, fmt.Errorf("forbidden: %w", unix.EPERM), unix.ENOENT); got.Error() != "forbidden: operation not permitted" {
		t.Errorf("got %v", got)
	}
}
