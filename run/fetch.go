// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package run

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/gizmo-ebpf/gizmo/annotation"
	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/gadget/image"
)

// fetches returns how often each data source of arrays is read: as the options say, else as the
// annotations do.
func (p *Plan) fetches(g *Gadget, name string) (map[string]image.Fetch, error) {
	fetches := make(map[string]image.Fetch)
	var readAgain []event.SourceID // the options are for these
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
		fetches[id.Name] = p.fetchFor(id, d, &settings)
		if g.Image.IsReadAgain(d) {
			readAgain = append(readAgain, id)
		}
	}
	return fetches, errors.Join(
		about("map-fetch-interval", setFetch(fetches, readAgain, g.FetchInterval, setInterval)),
		about("map-fetch-count", setFetch(fetches, readAgain, g.FetchCount, setCount)))
}

// fetchFor returns how often a data source is read unless options say otherwise. If an output adds its arrays up, the last part of an interval is one, and there
// are arrays during the run, so that what programs count in has less to hold.
func (p *Plan) fetchFor(id event.SourceID, d *image.DataSource, settings *annotation.Source) image.Fetch {
	fetch := d.Fetch(settings)
	if d.Kind != image.MapIterator || !p.addsUp(id, settings) {
		return fetch
	}
	if fetch.Flush = true; fetch.Interval == image.AtEnd {
		fetch.Interval = image.DefaultFetchInterval
	}
	return fetch
}

// addsUp reports whether an output adds up the arrays of a data source.
func (p *Plan) addsUp(id event.SourceID, settings *annotation.Source) bool {
	if _, ok := p.ExportsMetrics()[id]; ok {
		return true
	}
	if p.options.Text == nil {
		return false
	}
	modes, err := perSource(p.options.Text.Modes, ",", slices.Collect(maps.Keys(p.specs)))
	if err != nil { // assemble reports it
		return false
	}
	mode, chosen := modes[id]
	f, err := formatOf(id, mode, chosen, settings)
	return err == nil && (f.Report || f.Profile && !settings.Profile.Latest)
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
