/** CRI-O: a drop-in file with a runtime handler. */
import { type Door, RUNTIME_NAME, refuseConfig, requireShim } from './door.ts'
import { tomlString } from './toml.ts'

export const CRIO_CONFIG = '/etc/crio/crio.conf.d/50-oci-sandbox.conf'

export const crio: Door = {
  name: 'crio',
  help: `CRI-O: a runtime handler "${RUNTIME_NAME}" for Kubernetes, in ${CRIO_CONFIG}`,
  install(tree, options) {
    refuseConfig(options, 'CRI-O')
    const after = [
      '# Made by oci-sandbox install --crio; what is changed here is lost.',
      `[crio.runtime.runtimes.${RUNTIME_NAME}]`,
      `runtime_path = ${tomlString(requireShim())}`,
      'runtime_type = "oci"',
      'runtime_root = "/run/oci-sandbox-crio"',
      '',
    ].join('\n')
    return {
      changes: [{ path: CRIO_CONFIG, before: tree.read(CRIO_CONFIG), after, ours: true }],
      notes: [
        'restart CRI-O: systemctl restart crio',
        `in Kubernetes: kubectl apply -f deploy/runtimeclass.yaml, and runtimeClassName: ${RUNTIME_NAME} in pods`,
      ],
    }
  },
  uninstall(tree) {
    const before = tree.read(CRIO_CONFIG)
    const changes = before === undefined ? [] : [{ path: CRIO_CONFIG, before, after: undefined, ours: true }]
    return { changes, notes: before === undefined ? [] : ['restart CRI-O: systemctl restart crio'] }
  },
}
