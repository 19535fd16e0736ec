// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package networkpolicy

import (
	"bytes"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/gizmo-ebpf/gizmo/internal/plain"
)

// kind is one row of the table of formats.
type kind struct {
	name   string
	policy func(*workload) any // for YAML
}

// DefaultFormat is the format of policies that every cluster knows.
const DefaultFormat = "k8s"

func kinds() []kind {
	return []kind{{DefaultFormat, k8sPolicyOf}, {"cilium", ciliumPolicyOf}}
}

// Formats returns the names of the formats of policies.
func Formats() []string {
	var names []string
	for _, k := range kinds() {
		names = append(names, k.name)
	}
	return names
}

// append appends the documents, after comments about what they lack.
func (k kind) append(dst []byte, a *advice) ([]byte, error) {
	dst = a.appendComments(dst)
	for _, w := range a.workloads {
		dst = append(dst, "---\n"...)
		var text bytes.Buffer
		e := yaml.NewEncoder(&text)
		e.SetIndent(2)
		if err := e.Encode(k.policy(w)); err != nil {
			return dst, fmt.Errorf("policy %s of the namespace %s: %w", w.name, w.namespace, err)
		}
		dst = append(dst, text.Bytes()...)
	}
	return dst, nil
}

// listed limits how many names a comment lists.
const listed = 20

func (a *advice) appendComments(dst []byte) []byte {
	comment := func(format string, args ...any) { dst = fmt.Appendf(dst, "# "+format+"\n", args...) }
	if len(a.workloads) == 0 {
		comment("No policies: gizmo saw no connections of pods with labels.")
	} else {
		comment("These policies allow the connections that gizmo saw, and deny all others of these pods. Review them before you apply them.")
	}
	if a.addresses {
		comment("An ipBlock or CIDR is an address of no pod that gizmo saw here. If it is that of a Service or of a pod elsewhere, select the pods instead.")
	}
	if a.dropped > 0 {
		comment("INCOMPLETE: %d rows were dropped, because there were too many different connections.", a.dropped)
	}
	if len(a.unlabelled) > 0 {
		comment("Without a policy, because they have no labels that a policy could select them by: %s", join(a.unlabelled))
	}
	if len(a.containers) > 0 {
		comment("Without a policy, because they are in no pod: the containers %s", join(a.containers))
	}
	if a.host {
		comment("Without a policy: connections of the host.")
	}
	return dst
}

// join lists names of others on one line.
func join(names []string) string {
	more := ""
	if n := len(names) - listed; n > 0 {
		names, more = names[:listed], fmt.Sprintf(", and %d more", n)
	}
	return plain.Line(strings.Join(names, ", ")) + more
}
