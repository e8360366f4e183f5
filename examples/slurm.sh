#!/bin/bash
#SBATCH --job-name=vocctl
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=4
#SBATCH --cpus-per-task=32
#SBATCH --time=04:00:00
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --signal=B:TERM@120
# Train on every GPU of two nodes; put back into the queue and resumed when the time is up or a node is taken away.
# sbatch examples/slurm.sh --data /shared/voc2009 --batch 64
set -euo pipefail

run=${RUN:-runs/seg/slurm-$SLURM_JOB_ID}
first=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
what=("$@" --out "$run")
if [ -f "$run/run.json" ]; then
    what=(--resume "$run")
fi

srun torchrun --nnodes "$SLURM_NNODES" --nproc-per-node "$SLURM_GPUS_ON_NODE" --rdzv-backend c10d \
    --rdzv-endpoint "$first:29500" --rdzv-id "$SLURM_JOB_ID" -m vocctl train-seg "${what[@]}" &
step=$!

requeue() {
    kill -TERM "$step" 2> /dev/null || true
    wait "$step" || true  # the state is saved now
    scontrol requeue "$SLURM_JOB_ID"
    exit 0
}
trap requeue TERM
wait "$step"
