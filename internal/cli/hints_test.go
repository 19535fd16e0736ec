// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"errors"
	"fmt"
	"testing"

	"github.com/gizmo-ebpf/gizmo/gadget"
	"github.com/gizmo-ebpf/gizmo/gadget/image"
)

// What helps is told in terms of flags, and the cause stays with it.
func TestWithFlags(t *testing.T) {
	t.Parallel()
	other := errors.New("another")
	for want, err := range map[string]error{
		"another": other,
		"nothing to do: the gadget needs one or more of its flags --a, --b":                              &image.NothingToDoError{Params: []string{"a", "b"}},
		"nothing to do: the gadget needs one or more of its flags --a, --b, --c and 2 more (see --help)": &image.NothingToDoError{Params: []string{"a", "b", "c", "d", "e"}},
		"attach: " + gadget.ErrNoInterface.Error() + " (--iface NAME)":                                   fmt.Errorf("attach: %w", gadget.ErrNoInterface),
		"too much (--buffer-size sets the size of a buffer)":                                             &gadget.MemoryError{Cause: errors.New("too much")},
	} {
		if got := withFlags(err); got.Error() != want || !errors.Is(got, err) {
			t.Errorf("got  %v\nwant %s", got, want)
		}
	}
	if withFlags(nil) != nil {
		t.Error("an error of nothing")
	}
}

func TestGadgetWithoutDataSource(t *testing.T) {
	t.Parallel()
	err := checkShows("collector", &image.Image{})
	if want := "gadget collector has no data source: nothing to show"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	if err := checkShows("shows", &image.Image{DataSources: make([]image.DataSource, 1)}); err != nil {
		t.Error(err)
	}
}
