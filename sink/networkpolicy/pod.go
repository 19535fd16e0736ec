// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package networkpolicy

import (
	"cmp"
	"slices"
	"strings"
)

// pod is what rows say about the pod that they are about. Without a namespace it is a container that is in no pod, or the host.
type pod struct {
	number    int
	namespace string
	name      string
	owner     string // what has made the pod, if that is known
	container string // the name that its runtime shows
	labels    []label
	// workload identifies all pods of a namespace with the same labels.
	workload string
}

// label is a label of a pod.
type label struct{ key, value string }

// newPod returns the pod with the texts of source.appendPod.
func newPod(number int, key string) *pod {
	text := strings.Split(key, between)
	p := &pod{
		number: number, namespace: text[textNamespace], name: text[textPod], owner: text[textOwner], container: text[textContainer],
		labels: labelsOf(text[textLabels]),
	}
	parts := []string{p.namespace}
	for _, l := range p.labels {
		parts = append(parts, l.key, l.value)
	}
	p.workload = strings.Join(parts, between)
	return p
}

func (p *pod) inPod() bool { return p.namespace != "" && p.name != "" }

// isSelectable reports whether a policy can select the pod without selecting all pods of the namespace.
func (p *pod) isSelectable() bool { return p.inPod() && len(p.labels) > 0 }

// labelsOf returns the labels of a text KEY=VALUE,… that stay the same when the pod is replaced by another, in the order of their
// keys. Neither keys nor values have commas or equals signs.
func labelsOf(text string) []label {
	var labels []label
	for item := range strings.SplitSeq(text, ",") {
		key, value, ok := strings.Cut(item, "=")
		if ok && key != "" && !changes(key) {
			labels = append(labels, label{key, value})
		}
	}
	slices.SortFunc(labels, func(a, b label) int { return cmp.Or(cmp.Compare(a.key, b.key), cmp.Compare(a.value, b.value)) })
	return slices.CompactFunc(labels, func(a, b label) bool { return a.key == b.key })
}

// changes reports whether a label differs between pods that do the same, or changes when such a pod is made anew: what
// controllers write to tell their pods apart.
func changes(key string) bool {
	switch key {
	case "pod-template-hash", "rollouts-pod-template-hash", "controller-revision-hash", "pod-template-generation",
		"statefulset.kubernetes.io/pod-name", "apps.kubernetes.io/pod-index", "controller-uid", "job-name":
		return true
	}
	return strings.HasPrefix(key, "batch.kubernetes.io/")
}
