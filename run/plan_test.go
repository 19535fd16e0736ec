// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package run

import (
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/gizmo-ebpf/gizmo/annotation"
	"github.com/gizmo-ebpf/gizmo/catalog"
	"github.com/gizmo-ebpf/gizmo/event"
)

// The frequency of a profile is that of the samples, whatever gadget.yaml says. Other runs of the same image
// are not affected.
func TestParamIsTheFrequencyOfTheProfile(t *testing.T) {
	t.Parallel()
	img, err := catalog.Builtin("profile_cpu")
	if err != nil {
		t.Fatal(err)
	}
	plan := func(annotate []string, params map[string]string) (*Plan, error) {
		return NewPlan(Options{Gadgets: []Gadget{{Image: img, Params: params}}, Annotate: annotate, Text: &Text{W: io.Discard}})
	}
	for _, c := range []struct {
		annotate []string
		params   map[string]string
		want     int
	}{
		{nil, map[string]string{"frequency": "99"}, 99},
		{nil, nil, 49},
		{[]string{"samples:profiles.frequency=7"}, map[string]string{"frequency": "99"}, 7},
	} {
		p, err := plan(c.annotate, c.params)
		if err != nil {
			t.Fatal(err)
		}
		settings, err := p.specs.settings(event.SourceID{Name: "samples"})
		if err != nil || settings.Profile.Frequency != c.want {
			t.Errorf("%v, %v: frequency %d, %v, want %d", c.annotate, c.params, settings.Profile.Frequency, err, c.want)
		}
	}
	_, err = plan(nil, map[string]string{"frequency": "0"})
	if option := new(OptionError); !errors.As(err, &option) || option.Option != "frequency" || !strings.Contains(err.Error(), "is 0") {
		t.Errorf("got %v", err)
	}
	other := *img
	other.DataSources = append(other.DataSources[:0:0], img.DataSources...)
	other.DataSources[0].Annotations = &annotation.Spec{Source: annotation.Set{"profiles.frequency-param": "collect_ustack"}}
	_, err = NewPlan(Options{Gadgets: []Gadget{{Image: &other}}})
	if option := new(OptionError); !errors.As(err, &option) || !strings.Contains(err.Error(), "no param of the type __u32") {
		t.Errorf("a param of another type: %v", err)
	}
}
