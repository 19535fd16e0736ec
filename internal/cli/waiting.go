// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gizmo-ebpf/gizmo/gadget/image"
	"github.com/gizmo-ebpf/gizmo/internal/cli/containers"
	"github.com/gizmo-ebpf/gizmo/internal/cli/flags"
	"github.com/gizmo-ebpf/gizmo/internal/plain"
	"github.com/gizmo-ebpf/gizmo/metadata"
	"github.com/gizmo-ebpf/gizmo/run"
)

// quiet is how long a run may show nothing before gizmo says what it waits for.
const quiet = 3 * time.Second

// sayWhatIsWaitedFor prints once, on a terminal that has shown nothing for a while, which events the run waits for. The function
// that it returns stops it.
func (a *app) sayWhatIsWaitedFor(r *run.Run, img *image.Image, f *eventFlags) (stop func()) {
	if !a.talks || !r.WaitsForEvents() || r.WritesAtEnd() {
		return func() {}
	}
	meta := img.Metadata // the image takes memory for as long as anything refers to it
	timer := time.AfterFunc(quiet, func() {
		var filtered uint64
		for _, account := range r.Ledger().Accounts() {
			totals := account.Totals()
			if totals.Delivered > 0 {
				return
			}
			filtered += totals.Filtered
		}
		fmt.Fprintln(a.Err, waitingText(meta, filtered, len(flags.Given(f.filters))+len(flags.Given(f.exprs)) > 0))
	})
	return func() { timer.Stop() }
}

// sayWhatIsExported prints where metrics are, and under which names.
func (a *app) sayWhatIsExported(exports *flags.Exports, plan *run.Plan) {
	if exports == nil {
		return
	}
	var names []string
	for id, scope := range plan.ExportsMetrics() {
		names = append(names, plain.Text(id.String()+" as "+scope))
	}
	slices.Sort(names)
	if len(names) == 0 {
		names = []string{"only those about gizmo itself; --otel-metrics-name DATASOURCE:NAME exports those of a data source"}
	}
	fmt.Fprintf(a.Err, "gizmo: metrics %s: %s\n", exports.Where(), strings.Join(names, ", "))
}

// sayWhyNoContainer prints why no event can come yet from a run that shows only those of containers.
func (a *app) sayWhyNoContainer(known *containers.Containers, host bool) {
	if why := known.WhyNone(); why != "" && !host {
		fmt.Fprintf(a.Err, "gizmo: %s, and the run shows only events of containers; --host shows those of the host, too\n", why)
	}
}

// waitingText says which events the run waits for.
func waitingText(meta *metadata.Metadata, filtered uint64, filters bool) string {
	text := "gizmo: waiting for events of " + plain.Line(meta.Name)
	if d := strings.TrimRight(plain.Line(meta.Description), "."); d != "" {
		text += ": " + d
	}
	switch {
	case filtered > 0:
		text += fmt.Sprintf("; the filter has let none of %d events through", filtered)
	case filters:
		text += "; gizmo shows only those that pass the filter"
	}
	return text + "; Ctrl-C ends"
}
