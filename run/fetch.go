// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package run

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/gadget/image"
)

// fetches returns how often each data source of arrays is read: as the options say, else as the
// annotations do.
func (p *Plan) fetches(g *Gadget, name string) (map[string]image.Fetch, error) {
	fetches := make(map[string]image.Fetch)
	var maps []event.SourceID // the options are for these
	for i := range g.Image.DataSources {
		d := &g.Image.DataSources[i]
		id := event.SourceID{Gadget: name, Name: d.Schema.Name}
		if _, ok := p.specs[id]; !ok || d.Kind == image.Tracer {
			continue
		}
		settings, err := p.specs.settings(id)
		if err != nil {
			continue // assemble reports it
		}
		fetches[id.Name] = d.Fetch(&settings)
		if g.Image.IsReadAgain(d) {
			maps = append(maps, id)
		}
	}
	return fetches, errors.Join(
		about("map-fetch-interval", setFetch(fetches, maps, g.FetchInterval, setInterval)),
		about("map-fetch-count", setFetch(fetches, maps, g.FetchCount, setCount)))
}

// setFetch sets what an option says about data sources.
func setFetch(fetches map[string]image.Fetch, all []event.SourceID, text string, set func(*image.Fetch, string) error) error {
	texts, err := perSource(text, ",", all)
	if err != nil {
		return err
	}
	for id, text := range texts {
		fetch := fetches[id.Name]
		if err := set(&fetch, text); err != nil {
			return err
		}
		fetches[id.Name] = fetch
	}
	return nil
}

func setInterval(f *image.Fetch, text string) error {
	t, err := ParseSeconds(text)
	if err != nil {
		return err
	}
	f.Interval = t
	if t == 0 {
		f.Interval = image.AtEnd
	}
	return nil
}

func setCount(f *image.Fetch, text string) error {
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil || n > math.MaxInt32 {
		return fmt.Errorf("want a whole number from 0 to %d, got %q", math.MaxInt32, text)
	}
	f.Count = int(n)
	return nil
}

// ParseSeconds reads a duration of 0 or more that is given as a number of seconds or in Go's notation.
func ParseSeconds(text string) (time.Duration, error) {
	duration := text
	if n, err := strconv.ParseFloat(text, 64); err == nil {
		duration = strconv.FormatFloat(n, 'f', -1, 64) + "s"
	}
	d, err := time.ParseDuration(duration)
	if err != nil || d < 0 {
		return 0, fmt.Errorf("want a number of seconds or a duration like 1m30s, got %q", text)
	}
	return d, nil
}
