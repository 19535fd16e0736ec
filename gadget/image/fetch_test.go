// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package image

import (
	"strings"
	"testing"
	"time"
)

// The defaults of an iterator, and how annotations change them.
func TestFetchOfAnIterator(t *testing.T) {
	t.Parallel()
	for yaml, want := range map[string]Fetch{
		"":                                    {Count: 1},
		"fetch-interval: 5s":                  {Interval: 5 * time.Second},
		"fetch-interval: 0":                   {Count: 1},
		"fetch-count: 3":                      {Count: 3},
		"fetch-interval: 0\nfetch-count: 3":   {Count: 3},
		"fetch-count: 0":                      {},
		"fetch-interval: 2s\nfetch-count: 10": {Interval: 2 * time.Second, Count: 10},
		"ebpf.map.flush-on-stop: true":        {Interval: AtEnd, Flush: true},
		"ebpf.map.flush-on-stop: true\nfetch-count: 2":     {Count: 2, Flush: true},
		"ebpf.map.flush-on-stop: true\nfetch-interval: 2s": {Interval: 2 * time.Second, Flush: true},
	} {
		if yaml != "" {
			yaml = "name: m\ndatasources:\n  one:\n    annotations:\n      " + strings.ReplaceAll(yaml, "\n", "\n      ") + "\n"
		}
		d, _ := parseWith(t, "markers", yaml).DataSource("one")
		if got := d.Fetch(&d.Settings); got != want {
			t.Errorf("%q: got %+v, want %+v", yaml, got, want)
		}
	}
}

func TestIteratorsOfMapsAreTold(t *testing.T) {
	t.Parallel()
	img := parse(t, "markers")
	for i := range img.Programs {
		p := &img.Programs[i]
		want := ""
		if p.Name == "walk_elem" {
			want = "counts"
		}
		if p.IterMap != want {
			t.Errorf("%s walks %q, want %q", p.Name, p.IterMap, want)
		}
	}
}
